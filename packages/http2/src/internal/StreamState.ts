/**
 * The state of a stream, RFC 9113 section 5.1, as bits: "open" is neither end, "half-closed" one of them, "closed" both or a reset. "Idle" and
 * "reserved" have no object.
 */
export const LOCAL_END = 1
export const REMOTE_END = 2
export const CLOSED = 4
/** The owner has queued its last frame; nothing more may be added. */
export const ENDING = 8
/** In the sender's list of streams that have something to send. */
export const LISTED = 16
/** `data` has answered false since the last `onDrain`. */
export const THROTTLED = 32
/** A client has got the response head that is not informational. */
export const HEAD_RECEIVED = 64
/** The response has no body whatever its content-length says: the request was HEAD. */
export const NO_BODY = 128
/** The first header block has been given to `headers`. */
export const HEAD_SENT = 256
