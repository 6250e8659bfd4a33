// What the coverage is counted for, whatever test has loaded it: the package, not its examples.
import { readdirSync } from 'node:fs'

const lib = readdirSync(new URL('../lib', import.meta.url), { recursive: true }).filter((name) => name.endsWith('.ts'))
const files = ['index.ts', ...lib.map((name) => `lib/${name}`)]

export default () => files
