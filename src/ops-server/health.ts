/*
 * `/healthz`, `/livez` and `/readyz` as Kubernetes components serve them: `/readyz/<check>` runs one check, `?verbose` lists
 * all, `?exclude=<check>` leaves one out.
 */
import { plainText, type Reply, type Route } from './router.ts';

/** Reports what is wrong, in words for people; undefined: nothing is. */
export type Check = () => string | undefined;

/** Checks by name, in the order in which they are listed. */
export type Checks = Readonly<Record<string, Check>>;

/** A route that reports the checks: 200 when none fails, else 503 with one line for each check; 404 for an unknown check. */
export function healthRoute(path: string, checks: Checks): Route {
  return {
    path,
    subpaths: true,
    handle: ({ subpath, query }) => {
      const excluded = query.getAll('exclude');
      const selected = Object.entries(checks).filter(([name]) => (subpath === undefined || name === subpath) && !excluded.includes(name));
      if (subpath !== undefined && selected.length === 0) return plainText(404, 'no such check\n');
      return report(path.slice(1), selected, query.has('verbose'));
    },
  };
}

function report(probe: string, checks: readonly (readonly [string, Check])[], verbose: boolean): Reply {
  const results = checks.map(([name, check]) => ({ name, reason: check() }));
  const isHealthy = results.every(({ reason }) => reason === undefined);
  if (isHealthy && !verbose) return plainText(200, 'ok\n');
  const lines = results.map(({ name, reason }) => (reason === undefined ? `[+]${name} ok` : `[-]${name} failed: ${reason}`));
  return plainText(isHealthy ? 200 : 503, `${lines.join('\n')}\n${probe} check ${isHealthy ? 'passed' : 'failed'}\n`);
}
