// @ts-check
/** @typedef {import('fastify-websocket-route').WebSocketConnection} Connection */

/** Who is in which room, and by which name. */
export class Rooms {
  /** @type {Map<string, Map<Connection, string>>} */
  #rooms = new Map()

  /** @param {string} room */
  size (room) {
    return this.#rooms.get(room)?.size ?? 0
  }

  /**
   * @param {string} room
   * @param {Connection} conn
   * @param {string} name
   */
  join (room, conn, name) {
    const people = this.#rooms.get(room) ?? new Map()
    this.#rooms.set(room, people.set(conn, name))
  }

  /**
   * @param {string} room
   * @param {Connection} conn
   */
  leave (room, conn) {
    const people = this.#rooms.get(room)
    people?.delete(conn)
    if (people?.size === 0) this.#rooms.delete(room)
  }

  /**
   * Tells everybody in a room what one of them says.
   *
   * @param {string} room
   * @param {Connection} conn
   * @param {string} text
   */
  say (room, conn, text) {
    const people = this.#rooms.get(room) ?? new Map()
    const from = people.get(conn)
    for (const person of people.keys()) person.sendMessage({ from, text })
  }
}
