/** Messages and bytes of their payload. */
export interface Traffic {
  messages: number
  bytes: number
}
