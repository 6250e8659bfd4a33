/** How a connection came to its end. */
export interface ConnectionClose {
  /**
   * The code that decided the close, whoever sent it (RFC 6455 section 7.4). 1005: a close frame without a code.
   * 1006: no close frame, the socket ended or was destroyed.
   */
  readonly code: number
  /** The reason in the close frame that decided; empty if it had none. */
  readonly reason: string
  /**
   * - `'peer'`: the peer sent its close frame first
   * - `'server'`: this side closed or terminated the connection, or the peer broke the protocol
   * - `'network'`: nobody closed it: the socket ended without a close frame, or the peer did not answer the heartbeat
   */
  readonly initiator: 'peer' | 'server' | 'network'
}
