/*
 * Cases that can be served at the same time.
 */
import type { RecordedCase } from '../../conformance/case-file.ts';

/** Batches of at most `size` in which no two workloads share an address, because an address belongs to one listener. */
export function batchesOf<T extends { readonly recorded: Pick<RecordedCase, 'workload'> }>(
  todo: readonly T[],
  size: number,
): readonly (readonly T[])[] {
  const batches: { readonly ips: Set<string>; readonly items: T[] }[] = [];
  for (const item of todo) {
    const { ip } = item.recorded.workload;
    let batch = batches.find(({ ips, items }) => items.length < size && !ips.has(ip));
    if (batch === undefined) batches.push((batch = { ips: new Set(), items: [] }));
    batch.ips.add(ip);
    batch.items.push(item);
  }
  return batches.map(({ items }) => items);
}
