// For `node --import`: every Fastify app that is made by way of require('fastify') has the plugin, and a route of it, beside
// what it registers itself; PEER_ORDER=before or =after that.
import assert from 'node:assert'
import { createRequire } from 'node:module'
import fp from 'fastify-plugin'
import websocket from 'fastify-websocket-route'

const require = createRequire(import.meta.url)
const path = require.resolve('fastify')
const Fastify = require(path)
let count = 0

const besideEveryApp = fp(async (app) => {
  await app.register(websocket)
  app.websocketRoute('/a-route-of-the-neighbour', { onConnection () {} })
  count++
})

function fastifyWithPlugin (options) {
  const app = Fastify(options)
  if (process.env.PEER_ORDER === 'before') app.register(besideEveryApp)
  else registerAfterFirst(app)
  return app
}

function registerAfterFirst (app) {
  const { register } = app
  app.register = function (...args) {
    app.register = register
    register.apply(this, args)
    return register.call(this, besideEveryApp)
  }
}

require.cache[path].exports = Object.assign(fastifyWithPlugin, Fastify)
process.once('exit', () => assert.ok(count > 0, 'the plugin was registered'))
