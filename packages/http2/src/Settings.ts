/**
 * What a peer announces about itself in SETTINGS frames, RFC 9113 section 6.5.2. Values in force before the first frame arrives are the defaults of
 * the RFC.
 */
export interface Settings {
  /** Bytes of the HPACK dynamic table that the peer's decoder keeps. */
  headerTableSize: number
  enablePush: boolean
  /** Streams that we may open at a time. */
  maxConcurrentStreams: number
  /** Bytes that we may send on a new stream before a WINDOW_UPDATE. */
  initialWindowSize: number
  /** Largest frame payload that the peer accepts, bytes. */
  maxFrameSize: number
  /** Advice: the largest header list that the peer accepts, in the measure of RFC 9113 section 6.5.2. */
  maxHeaderListSize: number
}

export const initial = (): Settings => ({
  headerTableSize: 4096,
  enablePush: true,
  maxConcurrentStreams: Number.POSITIVE_INFINITY,
  initialWindowSize: 65_535,
  maxFrameSize: 16_384,
  maxHeaderListSize: Number.POSITIVE_INFINITY
})

/** Setting identifiers on the wire. */
export const SettingId = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
  ENABLE_CONNECT_PROTOCOL: 0x8
} as const
