// @ts-check
/** @typedef {import('ws').WebSocket} WebSocket */

const MAX_TEXT = 500

/** Who is where, and what they say to each other. */
export class Rooms {
  /** @type {Map<string, Set<WebSocket>>} */
  #rooms = new Map()

  /** @param {string} room */
  size (room) {
    return this.#rooms.get(room)?.size ?? 0
  }

  /**
   * @param {string} room
   * @param {WebSocket} socket
   * @param {string} name
   */
  join (room, socket, name) {
    const people = this.#rooms.get(room) ?? new Set()
    this.#rooms.set(room, people.add(socket))
    socket.on('close', () => {
      people.delete(socket)
      if (people.size === 0) this.#rooms.delete(room)
    })
    socket.on('message', (data) => {
      const text = readText(String(data))
      if (text === null) {
        socket.send(JSON.stringify({ error: `A message is {"text": "…"} with 1 to ${MAX_TEXT} characters.` }))
        return
      }
      const message = JSON.stringify({ from: name, text })
      for (const person of people) person.send(message)
    })
  }
}

/**
 * The text in a message, or `null` if the message is not one of ours.
 *
 * @param {string} json
 */
function readText (json) {
  try {
    const { text } = JSON.parse(json)
    return typeof text === 'string' && text !== '' && text.length <= MAX_TEXT ? text : null
  } catch {
    return null
  }
}
