/**
 * Bounds on everything that a peer controls. Every field is optional in the options of a connection; `resolve` fills in the defaults and brings
 * values into the range that the protocol allows.
 */
export interface Limits {
  /** Streams that the peer may have open at a time; more are answered with REFUSED_STREAM. Default 256. */
  readonly maxConcurrentStreams: number
  /** Bytes that the peer may send on a stream before its receiver calls `consumed`. Default 256 KiB. */
  readonly initialWindowSize: number
  /**
   * Bytes to which the windows of the connection and of a stream grow when they hold the peer back. All streams together have that much beyond their initial
   * windows, so that a connection holds `maxConcurrentStreams * initialWindowSize + maxWindowSize` at most of what nobody consumes. Default 16 MiB; 0 keeps
   * windows as they are.
   */
  readonly maxWindowSize: number
  /** Bytes that the peer may have in flight on the connection. At least 64 KiB - 1, default 1 MiB. */
  readonly connectionWindowSize: number
  /** Largest frame payload accepted, bytes, 16 KiB to 16 MiB - 1. Default 16 KiB. */
  readonly maxFrameSize: number
  /** Bytes of the HPACK dynamic table kept for decoding. Default 4096. */
  readonly headerTableSize: number
  /** Most bytes of the dynamic table used for encoding, whatever the peer offers. Default 4096. */
  readonly encoderTableSize: number
  /**
   * Largest header list accepted: name + value + 32 bytes a field. A list above it fails its stream with ENHANCE_YOUR_CALM, a block that is larger
   * than this in its compressed form fails the connection. Default 64 KiB.
   */
  readonly maxHeaderListSize: number
  /** CONTINUATION frames accepted for one block. Default 16. */
  readonly maxContinuations: number
  /** Bytes of DATA queued on one stream at which `data` answers false. Default 64 KiB. */
  readonly highWaterMark: number
  /** Bytes of frames other than DATA that wait in a socket that takes no more, above which the connection ends. Default 256 KiB. */
  readonly maxQueuedBytes: number
  /** Streams that the peer may cancel or break within `abuseWindow` before the connection ends. Default 1000. */
  readonly maxResets: number
  /** Frames that carry nothing (PING, SETTINGS, WINDOW_UPDATE, PRIORITY, unknown, empty DATA) in a row within `abuseWindow`. Default 2000. */
  readonly maxIdleFrames: number
  /** Milliseconds over which resets and idle frames are counted. Default 30 000. */
  readonly abuseWindow: number
  /** Milliseconds that a closed connection waits for the peer to read the last bytes. Default 1000; 0 destroys the duplex at once. */
  readonly linger: number
  /**
   * Milliseconds that the peer has for its part of the start: preface (then PROTOCOL_ERROR), SETTINGS and the acknowledgement of ours (then
   * SETTINGS_TIMEOUT). Default 10 000; 0 waits for ever.
   */
  readonly settingsTimeout: number
  /** Milliseconds that a header block, or any frame but DATA, may take from its first byte to its last; then ENHANCE_YOUR_CALM. Default 10 000; 0 waits for ever. */
  readonly headerTimeout: number
  /** Milliseconds that a full socket may take nothing before the connection is destroyed. Default 30 000; 0 waits for ever. */
  readonly writeTimeout: number
  /**
   * Server: milliseconds that the rest of a finished answer may wait for a window that the peer does not open, after which, and before twice as long,
   * its stream is reset with CANCEL. Default 300 000; 0 waits for ever.
   */
  readonly flushTimeout: number
  /** Milliseconds of silence after which a ping asks whether the peer lives. Default 0: none. */
  readonly keepAliveInterval: number
  /** Milliseconds that the peer may stay silent after such a ping before the connection is destroyed, and after the announcement of the end. Default 20 000. */
  readonly keepAliveTimeout: number
  /** Whether the peer is asked when no stream is open, too. Default false. */
  readonly keepAliveWithoutStreams: boolean
  /**
   * Server: milliseconds that a client has to leave between two pings. HEADERS, DATA and WINDOW_UPDATE sent in between excuse a ping, as gRPC has it (proposal A8).
   * Default 0: pings are only counted as idle frames.
   */
  readonly minPingInterval: number
  /** Server: whether pings may come in that interval when no stream is open, too; otherwise it is two hours then. Default false. */
  readonly pingsWithoutStreams: boolean
  /** Server: pings that may come too early before the connection ends with ENHANCE_YOUR_CALM, `too_many_pings`. Default 2. */
  readonly maxPingStrikes: number
  /** Milliseconds without a stream after which the connection is shut down. Default 0: never. */
  readonly maxIdle: number
}

export const defaults: Limits = {
  maxConcurrentStreams: 256,
  initialWindowSize: 262_144,
  maxWindowSize: 16_777_216,
  connectionWindowSize: 1_048_576,
  maxFrameSize: 16_384,
  headerTableSize: 4096,
  encoderTableSize: 4096,
  maxHeaderListSize: 65_536,
  maxContinuations: 16,
  highWaterMark: 65_536,
  maxQueuedBytes: 262_144,
  maxResets: 1000,
  maxIdleFrames: 2000,
  abuseWindow: 30_000,
  linger: 1000,
  settingsTimeout: 10_000,
  headerTimeout: 10_000,
  writeTimeout: 30_000,
  flushTimeout: 300_000,
  keepAliveInterval: 0,
  keepAliveTimeout: 20_000,
  keepAliveWithoutStreams: false,
  minPingInterval: 0,
  pingsWithoutStreams: false,
  maxPingStrikes: 2,
  maxIdle: 0
}

const MAX_31 = 0x7fffffff

const clamp = (value: number | undefined, fallback: number, low: number, high: number): number =>
  value === undefined || Number.isNaN(value) ? fallback : Math.min(high, Math.max(low, Math.floor(value)))

/** What a caller may give: any part of `Limits`. */
export type Options = { readonly [K in keyof Limits]?: Limits[K] | undefined }

export const resolve = (options: Options): Limits => ({
  maxConcurrentStreams: clamp(options.maxConcurrentStreams, defaults.maxConcurrentStreams, 0, MAX_31),
  initialWindowSize: clamp(options.initialWindowSize, defaults.initialWindowSize, 0, MAX_31),
  maxWindowSize: clamp(options.maxWindowSize, defaults.maxWindowSize, 0, MAX_31),
  connectionWindowSize: clamp(options.connectionWindowSize, defaults.connectionWindowSize, 65_535, MAX_31),
  maxFrameSize: clamp(options.maxFrameSize, defaults.maxFrameSize, 16_384, 0xffffff),
  headerTableSize: clamp(options.headerTableSize, defaults.headerTableSize, 0, 1 << 20),
  encoderTableSize: clamp(options.encoderTableSize, defaults.encoderTableSize, 0, 1 << 20),
  maxHeaderListSize: clamp(options.maxHeaderListSize, defaults.maxHeaderListSize, 0, 1 << 24),
  maxContinuations: clamp(options.maxContinuations, defaults.maxContinuations, 0, MAX_31),
  highWaterMark: clamp(options.highWaterMark, defaults.highWaterMark, 1, MAX_31),
  maxQueuedBytes: clamp(options.maxQueuedBytes, defaults.maxQueuedBytes, 0, MAX_31),
  maxResets: clamp(options.maxResets, defaults.maxResets, 0, MAX_31),
  maxIdleFrames: clamp(options.maxIdleFrames, defaults.maxIdleFrames, 0, MAX_31),
  abuseWindow: clamp(options.abuseWindow, defaults.abuseWindow, 0, MAX_31),
  linger: clamp(options.linger, defaults.linger, 0, MAX_31),
  settingsTimeout: clamp(options.settingsTimeout, defaults.settingsTimeout, 0, MAX_31),
  headerTimeout: clamp(options.headerTimeout, defaults.headerTimeout, 0, MAX_31),
  writeTimeout: clamp(options.writeTimeout, defaults.writeTimeout, 0, MAX_31),
  flushTimeout: clamp(options.flushTimeout, defaults.flushTimeout, 0, MAX_31),
  keepAliveInterval: clamp(options.keepAliveInterval, defaults.keepAliveInterval, 0, MAX_31),
  keepAliveTimeout: clamp(options.keepAliveTimeout, defaults.keepAliveTimeout, 1, MAX_31),
  keepAliveWithoutStreams: options.keepAliveWithoutStreams ?? defaults.keepAliveWithoutStreams,
  minPingInterval: clamp(options.minPingInterval, defaults.minPingInterval, 0, MAX_31),
  pingsWithoutStreams: options.pingsWithoutStreams ?? defaults.pingsWithoutStreams,
  maxPingStrikes: clamp(options.maxPingStrikes, defaults.maxPingStrikes, 0, MAX_31),
  maxIdle: clamp(options.maxIdle, defaults.maxIdle, 0, MAX_31)
})
