// The page: plain JavaScript, as the browser runs it. Text of others goes through textContent only.
/* global location */
const element = (id) => document.getElementById(id)
const PROTOCOLS = ['chat.v1', 'chat.v2']

let socket = null

function showState (state, text) {
  element('state').dataset.state = state
  element('state').textContent = text
  const isOpen = state === 'open'
  for (const field of element('send').elements) field.disabled = !isOpen
  element('leave').disabled = !isOpen
}

function showMessage ({ from, text, error }) {
  const item = document.createElement('li')
  if (error === undefined) {
    const author = document.createElement('b')
    author.textContent = from
    item.append(author, text)
  } else {
    item.className = 'error'
    item.textContent = error
  }
  element('messages').append(item)
  item.scrollIntoView({ block: 'nearest' })
}

// A browser does not tell a page why a handshake was refused. The route answers plain requests for the same path as well.
async function showRefusal (path) {
  try {
    const response = await fetch(path)
    const { error, message } = await response.json()
    showState('refused', `Refused: ${response.status} ${error}. ${message}`)
  } catch {
    showState('refused', 'The server cannot be reached.')
  }
}

function join (room) {
  socket?.close()
  const path = `/rooms/${encodeURIComponent(room)}`
  const opening = new WebSocket(location.origin.replace(/^http/, 'ws') + path, PROTOCOLS)
  let wasOpen = false
  socket = opening
  showState('connecting', `Joining ${room} …`)
  opening.addEventListener('open', () => {
    wasOpen = true
    showState('open', `You are in ${room}, speaking ${opening.protocol}.`)
    element('text').focus()
  })
  opening.addEventListener('message', ({ data }) => showMessage(JSON.parse(data)))
  opening.addEventListener('close', ({ code }) => {
    if (socket !== opening) return
    socket = null
    if (wasOpen) showState('closed', `You have left ${room} (${code}).`)
    else void showRefusal(path)
  })
}

async function post (path, body) {
  return await fetch(path, {
    method: 'POST',
    ...body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  })
}

function onSubmit (id, action) {
  element(id).addEventListener('submit', (event) => {
    event.preventDefault()
    void action(event.target.elements)
  })
}

onSubmit('login', async ({ name }) => {
  const response = await post('/login', { name: name.value })
  const answer = await response.json()
  element('who').textContent = response.ok ? `You are ${answer.name}.` : answer.message
})

element('logout').addEventListener('click', async () => {
  socket?.close()
  await post('/logout')
  element('who').textContent = 'You are not logged in.'
})

onSubmit('join', ({ room }) => join(room.value))
element('leave').addEventListener('click', () => socket?.close())

onSubmit('send', ({ text }) => {
  socket?.send(JSON.stringify({ text: text.value }))
  text.value = ''
})
