/** Collects garbage. What is freed in the callbacks of what is collected is only gone the next time. */
export async function settle (): Promise<void> {
  for (let times = 0; times < 4; times++) {
    globalThis.gc?.()
    await new Promise((resolve) => { setTimeout(resolve, 50) })
  }
}
