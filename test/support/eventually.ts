import { setTimeout } from 'node:timers/promises'

/** Waits until something is so; a test that waits in vain runs into its time-out. */
export async function eventually (isSo: () => boolean): Promise<void> {
  while (!isSo()) await setTimeout(2)
}
