/** How the name of an enum value becomes the name of a class, by the rule of Kratos' own generator. */

/**
 * Title-cases each part between underscores; a part without a lower-case letter is lowered first.
 * `USER_NOT_FOUND` → `UserNotFound`, `systemError` → `SystemError`, `HTTP_2xx` → `Http2xx`. Empty when nothing but underscores is left.
 */
export const fromValueName = (name: string): string => {
  const camel = name
    .split("_")
    .map((part) => (/\p{Lowercase}/u.test(part) ? part : part.toLowerCase()))
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join("")
  // `_2FA` is a legal enum value, `2fa` is no identifier
  return /^[0-9]/.test(camel) ? `_${camel}` : camel
}
