/*
 * One report about the configuration from two sources: the file, and the objects that it refers to. Either one alone would say that all is
 * well while the other refuses something.
 */
import type { FollowOptions, Reload } from './follow-config.ts';

/** Reports what becomes of the configuration. */
export interface ReloadReports {
  /** For {@link FollowOptions.onReload}. */
  readonly onReload: NonNullable<FollowOptions['onReload']>;
  /** What of the active file cannot be used, because of what it refers to; empty: nothing. */
  readonly onProblems: (problems: readonly string[]) => void;
}

const FILE_CONSEQUENCE = 'the last good configuration stays active';
const REFERENCE_CONSEQUENCE = 'no keys are fetched from these servers until it is corrected';

/** Calls `report` with the state of both. */
export function createReloadReports(report: NonNullable<FollowOptions['onReload']>): ReloadReports {
  let file: Reload = { error: '', needsRestart: false };
  let problems: readonly string[] = [];
  const say = (): void => {
    const errors = [
      ...(file.error === '' ? [] : [`${file.error}; ${FILE_CONSEQUENCE}`]),
      ...(problems.length === 0 ? [] : [`${problems.join('; ')}; ${REFERENCE_CONSEQUENCE}`]),
    ];
    report(errors.length === 0 ? 'success' : 'failure', { error: errors.join('; '), needsRestart: file.needsRestart });
  };
  return {
    onReload: (_result, reload) => {
      file = reload;
      say();
    },
    onProblems: (next) => {
      problems = next;
      say();
    },
  };
}
