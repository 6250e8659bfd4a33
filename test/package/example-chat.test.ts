// The chat of examples/chat: over the wire, as a process, and in a browser. Needs the build.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { type Browser, chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { connect, connectRefused, nextMessage } from '../support/client.ts'

const folder = fileURLToPath(new URL('../../examples/chat/', import.meta.url))
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
const skip = existsSync(executablePath) ? false : `Chromium is not installed: no ${executablePath}, and CHROMIUM names no other`

interface Example { buildApp (): Promise<FastifyInstance> }

async function startChat (t: Test): Promise<string> {
  // By a name that TypeScript does not follow: the example is JavaScript and uses the package as it is built.
  const { buildApp } = await import(join(folder, 'server.js')) as Example
  const app = await buildApp()
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: '127.0.0.1' })
  return `127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

async function logIn (host: string, name: string): Promise<string> {
  const response = await fetch(`http://${host}/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name })
  })
  return response.headers.get('set-cookie')?.split(';')[0] ?? ''
}

t.test('refuses without the cookie and says why', async (t) => {
  const host = await startChat(t)
  for (const headers of [{}, { cookie: 'chat-session=wrong' }]) {
    const { status, body } = await connectRefused(t, `ws://${host}/rooms/lobby`, [], { headers })
    t.equal(status, 401)
    t.match(JSON.parse(body), { error: 'authorization required', message: /Log in/ })
  }
  t.equal((await fetch(`http://${host}/rooms/lobby`)).status, 401)
  t.equal((await fetch(`http://${host}/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"name":""}' })).status, 400)
})

t.test('accepts with the cookie, a session and a subprotocol, and carries messages within a room', async (t) => {
  const host = await startChat(t)
  const cookie = await logIn(host, 'Ada')
  const join = async (room: string, headers = { cookie }) => await connect(t, `ws://${host}/rooms/${room}`, ['chat.v1', 'chat.v2'], { headers })
  const ada = await join('lobby')
  t.match(ada.headers['x-session'], /^\d+$/)
  t.equal(ada.socket.protocol, 'chat.v2')
  const bob = await join('lobby', { cookie: await logIn(host, 'Bob') })
  const elsewhere = await join('elsewhere')
  elsewhere.socket.on('message', () => t.fail('heard what was said in another room'))
  t.match(await (await fetch(`http://${host}/rooms/lobby`, { headers: { cookie } })).json(), { room: 'lobby', name: 'Ada', people: 2 })

  const heard = Promise.all([nextMessage(ada.socket), nextMessage(bob.socket)])
  bob.socket.send('{"text":"hello"}')
  t.same((await heard).map((json) => JSON.parse(json)), [{ from: 'Bob', text: 'hello' }, { from: 'Bob', text: 'hello' }])
  for (const [bad, error] of [
    ['no json', 'message is not JSON'],
    ['null', 'message must be object'],
    ['{}', "message must have required property 'text'"],
    ['{"text":""}', 'message/text must NOT have fewer than 1 characters'],
    [`{"text":"${'x'.repeat(501)}"}`, 'message/text must NOT have more than 500 characters'],
    [Buffer.from('{"text":"x"}'), 'message must be text, got a binary one']
  ] as const) {
    bob.socket.send(bad)
    t.same(JSON.parse(await nextMessage(bob.socket)), { error: `Not sent: ${error}.` })
  }
  const again = nextMessage(ada.socket)
  bob.socket.send('{"text":"still here"}')
  t.same(JSON.parse(await again), { from: 'Bob', text: 'still here' })
  const left = once(bob.socket, 'message')
  ada.socket.close()
  await once(ada.socket, 'close')
  bob.socket.send('{"text":"alone"}')
  await left
  t.match(await (await fetch(`http://${host}/rooms/lobby`, { headers: { cookie } })).json(), { people: 1 })
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`prints its address and stops cleanly on ${signal}, with a connection open`, async (t) => {
    const child = spawn(process.execPath, [join(folder, 'server.js')], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    const [line] = await once(child.stdout, 'data') as [Buffer]
    const host = /^The chat is at http:\/\/(\S+)\n$/.exec(String(line))?.[1] ?? ''
    const { socket } = await connect(t, `ws://${host}/rooms/lobby`, [], { headers: { cookie: await logIn(host, 'Ada') } })
    const closed = once(socket, 'close')
    const exited = once(child, 'exit')
    child.kill(signal)
    t.equal((await closed)[0], 1001)
    t.same(await exited, [0, null])
  })
}

t.test('in a browser', { skip }, async (t) => {
  const browser = await chromium.launch({
    executablePath,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
  })
  t.teardown(() => browser.close())

  await t.test('shows the readable 401 without a login, and is laid out', async (t) => {
    const host = await startChat(t)
    const { page, errors } = await openPage(browser, host)
    await page.getByRole('button', { name: 'Join' }).click()
    await page.getByText('Refused: 401 authorization required. Log in before you join a room.').waitFor()
    t.equal(await page.getByRole('textbox', { name: 'Message' }).isDisabled(), true)
    await checkLayout(t, page)
    // The browser itself reports the handshake and the request that were refused; the page has no errors of its own.
    t.same(errors.filter((text) => !/401|WebSocket connection to .* failed/.test(text)), [])
    await page.context().close()
  })

  await t.test('lets two tabs talk, with text that stays text', async (t) => {
    const host = await startChat(t)
    const tabs = [await openPage(browser, host), await openPage(browser, host)] as const
    for (const [i, name] of ['Ada', 'Bob'].entries()) {
      const { page } = tabs[i as 0 | 1]
      await page.getByRole('textbox', { name: 'Name' }).fill(name)
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByText(`You are ${name}.`).waitFor()
      await page.getByRole('button', { name: 'Join' }).click()
      await page.getByText('You are in lobby, speaking chat.v2.').waitFor()
    }
    const [{ page: ada, errors }, { page: bob }] = tabs
    await say(ada, 'Hello <b>Bob</b>')
    await bob.locator('#messages li', { hasText: 'Hello <b>Bob</b>' }).waitFor()
    await say(bob, 'Hello Ada')
    await ada.locator('#messages li', { hasText: 'Hello Ada' }).waitFor()
    t.same(await ada.locator('#messages li').allTextContents(), ['AdaHello <b>Bob</b>', 'BobHello Ada'])

    for (const [text, problem] of [['', 'must NOT have fewer than 1 characters'], ['x'.repeat(501), 'must NOT have more than 500 characters']] as const) {
      await say(ada, text)
      await ada.locator('#messages li.error', { hasText: `Not sent: message/text ${problem}.` }).waitFor()
    }
    await checkLayout(t, ada)
    await say(ada, 'That was nothing')
    await bob.locator('#messages li', { hasText: 'AdaThat was nothing' }).waitFor()
    t.equal(await bob.locator('#messages li.error').count(), 0, 'nobody else saw it')
    t.same(errors, [])

    await bob.getByRole('button', { name: 'Log out' }).click()
    await bob.getByText('You have left lobby').waitFor()
    await bob.getByRole('button', { name: 'Join' }).click()
    await bob.getByText('Refused: 401').waitFor()
    for (const { page } of tabs) await page.context().close()
  })
})

// A context of its own, so that each tab has its own cookies.
async function openPage (browser: Browser, host: string): Promise<{ page: Page, errors: string[] }> {
  const page = await (await browser.newContext({ viewport: { width: 900, height: 800 } })).newPage()
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()) })
  await page.goto(`http://${host}/`)
  return { page, errors }
}

async function say (page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

async function checkLayout (t: Test, page: Page): Promise<void> {
  for (const selector of ['h1', '#login', '#join', '#messages', '#send']) {
    const box = await page.locator(selector).boundingBox()
    t.ok(box !== null && box.width > 50 && box.height > 10 && box.x >= 0 && box.x + box.width <= 900, `${selector} is on the page`)
  }
  t.ok((await page.screenshot({ path: process.env.SCREENSHOT ?? join(t.testdir(), 'page.png') })).length > 5_000, 'the page is not blank')
}
