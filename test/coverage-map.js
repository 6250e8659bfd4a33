// What the coverage is counted for, whatever test has loaded it: the package, not its examples.
import { readdirSync } from 'node:fs'

const files = ['index.ts', ...readdirSync(new URL('../lib', import.meta.url)).map((name) => `lib/${name}`)]

export default () => files
