// For `node --import`: whoever imports ws or Fastify, and is no package itself, gets those of the folder $NEIGHBOURS.
import * as nodeModule from 'node:module'
import { pathToFileURL } from 'node:url'
import { isMainThread } from 'node:worker_threads'

const NAMES = ['ws', 'fastify']
const parentURL = pathToFileURL(`${process.env.NEIGHBOURS}/package.json`).href

export function resolve (specifier, context, nextResolve) {
  const isRedirected = NAMES.includes(specifier) && !context.parentURL?.includes('/node_modules/')
  return nextResolve(specifier, isRedirected ? { ...context, parentURL } : context)
}

// Before Node 22.15 hooks run in a thread of their own, which loads this file as well.
if (nodeModule.registerHooks !== undefined) nodeModule.registerHooks({ resolve })
else if (isMainThread) nodeModule.register(import.meta.url)
