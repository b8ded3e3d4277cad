import { ConnectionError } from "../ConnectionError.ts"
import { ErrorCode } from "../ErrorCode.ts"
import type { Limits } from "../Limits.ts"
import { SettingId, type Settings } from "../Settings.ts"
import * as Frame from "./Frame.ts"
import type { Output } from "./Output.ts"

const DEFAULT_WINDOW = 65_535

/** Writes our settings, without those that say what is the default anyway, and opens the window of the connection. */
export const write = (output: Output, limits: Limits, isClient: boolean): void => {
  const entries: Array<readonly [id: number, value: number]> = []
  if (limits.headerTableSize !== 4096) entries.push([SettingId.HEADER_TABLE_SIZE, limits.headerTableSize])
  if (isClient) entries.push([SettingId.ENABLE_PUSH, 0])
  else entries.push([SettingId.MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams])
  if (limits.initialWindowSize !== DEFAULT_WINDOW) entries.push([SettingId.INITIAL_WINDOW_SIZE, limits.initialWindowSize])
  if (limits.maxFrameSize !== 16_384) entries.push([SettingId.MAX_FRAME_SIZE, limits.maxFrameSize])
  entries.push([SettingId.MAX_HEADER_LIST_SIZE, limits.maxHeaderListSize])
  output.frame(entries.length * 6, Frame.SETTINGS, 0, 0)
  for (const [id, value] of entries) {
    output.uint16(id)
    output.uint32(value)
  }
  if (limits.connectionWindowSize > DEFAULT_WINDOW) {
    output.frame(4, Frame.WINDOW_UPDATE, 0, 0)
    output.uint32(limits.connectionWindowSize - DEFAULT_WINDOW)
  }
}

/** Reads the payload of a SETTINGS frame into `settings`, in order; unknown settings are ignored. Throws a `ConnectionError`. */
export const read = (settings: Settings, isClient: boolean, source: Uint8Array, start: number, end: number): void => {
  for (let at = start; at < end; at += 6) {
    const value = Frame.uint32(source, at + 2)
    switch ((source[at]! << 8) | source[at + 1]!) {
      case SettingId.HEADER_TABLE_SIZE:
        settings.headerTableSize = value
        break
      case SettingId.ENABLE_PUSH:
        if (value > 1 || (isClient && value === 1)) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "bad ENABLE_PUSH")
        settings.enablePush = value === 1
        break
      case SettingId.MAX_CONCURRENT_STREAMS:
        settings.maxConcurrentStreams = value
        break
      case SettingId.INITIAL_WINDOW_SIZE:
        if (value > Frame.MAX_31) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "bad INITIAL_WINDOW_SIZE")
        settings.initialWindowSize = value
        break
      case SettingId.MAX_FRAME_SIZE:
        if (value < 16_384 || value > 0xffffff) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "bad MAX_FRAME_SIZE")
        settings.maxFrameSize = value
        break
      case SettingId.MAX_HEADER_LIST_SIZE:
        settings.maxHeaderListSize = value
        break
      case SettingId.ENABLE_CONNECT_PROTOCOL:
        if (value > 1) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "bad ENABLE_CONNECT_PROTOCOL")
    }
  }
}
