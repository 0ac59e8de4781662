/*
 * Remembers, for a while, which bundles other clients have changed: to say so in the status of policies, to prefer slots that they leave
 * alone, and to repair at a bounded rate.
 */
import { type WorkloadKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import { rateLimited } from './rate-limit.ts';

/** What is done with a reported change. */
export interface TamperLogOptions {
  readonly clock: Clock;
  /** Called when the report about a workload appears, changes or expires. */
  readonly onReport: (workload: WorkloadKey) => void;
  /** Called for each drift, at most once a second for one workload. */
  readonly onDrift: (workload: WorkloadRef) => void;
}

/** Changes by others. */
export interface TamperLog {
  /** Records a change of a ConfigMap by another client. */
  readonly onForeignWrite: (name: string) => void;
  /** How often others changed the ConfigMap in the last minute. */
  readonly writesTo: (name: string) => number;
  /** Records that a bundle was found changed, or that a slot of it is held. */
  readonly report: (workload: WorkloadKey, message: string) => void;
  /** The last report of the past ten minutes; undefined: none. */
  readonly reportOf: (workload: WorkloadKey) => string | undefined;
  /** Asks for a reconciliation of the workload. */
  readonly drifted: (workload: WorkloadRef) => void;
}

const WINDOW_MS = 60_000;
const REPORT_MS = 600_000;
const DRIFT_MS = 1_000;
const MAX_REMEMBERED = 4_096;

/** An empty log. */
export function createTamperLog({ clock, onReport, onDrift }: TamperLogOptions): TamperLog {
  const writes = new Map<string, number[]>();
  const reports = new Map<WorkloadKey, { readonly message: string; readonly cancel: () => void }>();
  const recent = (name: string): number[] => (writes.get(name) ?? []).filter((atMs) => atMs > clock.nowMs() - WINDOW_MS);
  const limited = rateLimited<WorkloadRef>(clock, DRIFT_MS, onDrift);
  return {
    drifted: (workload) => limited(workloadKey(workload), workload),
    onForeignWrite: (name) => {
      if (writes.size >= MAX_REMEMBERED) for (const known of writes.keys()) if (recent(known).length === 0) writes.delete(known);
      if (writes.size < MAX_REMEMBERED) writes.set(name, [...recent(name), clock.nowMs()].slice(-MAX_REMEMBERED / 16));
    },
    writesTo: (name) => recent(name).length,
    report: (workload, message) => {
      const before = reports.get(workload);
      before?.cancel();
      const cancel = clock.after(REPORT_MS, () => {
        reports.delete(workload);
        onReport(workload);
      });
      reports.set(workload, { message, cancel });
      if (before?.message !== message) onReport(workload);
    },
    reportOf: (workload) => reports.get(workload)?.message,
  };
}
