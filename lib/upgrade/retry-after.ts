/** Seconds after which a client that was refused for want of room may come again (RFC 9110 section 10.2.3). */
export const RETRY_AFTER = '5'
