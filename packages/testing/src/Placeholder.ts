export const placeholder = undefined
