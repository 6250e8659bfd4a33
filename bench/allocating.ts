// How many bytes this process allocates on the heap of V8: what is there now and was not before, and all that was collected.
import { GCProfiler } from 'node:v8'

let profiler: GCProfiler | null = null
let atFirst = 0

export function countAllocations (): void {
  profiler = new GCProfiler()
  profiler.start()
  atFirst = process.memoryUsage().heapUsed
}

export function allocations (): number {
  const kept = process.memoryUsage().heapUsed - atFirst
  const collected = profiler?.stop().statistics.map(({ beforeGC, afterGC }) => beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize)
  profiler = null
  return (collected ?? []).reduce((sum, bytes) => sum + bytes, kept)
}
