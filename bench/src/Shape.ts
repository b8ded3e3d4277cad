/** The shape of a load: how many connections, and how many requests in flight on each. */
export interface Shape {
  readonly connections: number
  readonly streams: number
}

/** Reads `10x10`. Undefined when the text is something else, or asks for more than 10,000 of either. */
export const parse = (text: string): Shape | undefined => {
  const match = /^([1-9]\d{0,3}|10000)x([1-9]\d{0,3}|10000)$/.exec(text)
  return match === null ? undefined : { connections: Number(match[1]), streams: Number(match[2]) }
}

export const format = ({ connections, streams }: Shape): string => `${connections}x${streams}`

/** The shapes that were asked for, by name; `defaults` when there are none. */
export const names = (asked: ReadonlyArray<Shape>, defaults: ReadonlyArray<string>): ReadonlyArray<string> =>
  asked.length === 0 ? defaults : asked.map(format)
