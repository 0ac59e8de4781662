/*
 * The requests of the task, sent with the command of the task. Records every row for the final table.
 */
import { eventually } from './eventually.ts';
import { printed } from './printed.ts';
import type { Shell } from './shell.ts';
import type { TaskTokens, TokenName } from './tokens.ts';

const target = `kubectl exec "$(kubectl get pod -l app=sleep -n foo -o jsonpath={.items..metadata.name})" -c sleep -n foo -- curl "http://httpbin.foo:8000/headers"`;
const withToken = `${target} -sS -o /dev/null -H "Authorization: Bearer $TOKEN" -w "%{http_code}\\n"`;
const withoutToken = `${target} -sS -o /dev/null -w "%{http_code}\\n"`;

/** One row of the final table. */
export interface Row {
  readonly state: string;
  readonly token: TokenName;
  readonly expected: string;
  readonly got: string;
}

export interface Task {
  /** Runs the task's command once. @returns the status code, e.g. `200`; `000` without a response */
  readonly request: (token: TokenName) => Promise<string>;
  /** Body and headers of one response, as `curl -i` prints them. */
  readonly show: (token: TokenName) => Promise<string>;
  /**
   * Repeats it until it prints `expected`, for at most 20 s, and records the row. With `atOnce` the first response must match: for a row
   * that no change precedes.
   */
  readonly expectCode: (state: string, token: TokenName, expected: string, when?: 'atOnce') => Promise<void>;
  readonly rows: () => readonly Row[];
}

/** The task on one shell. */
export function createTask(shell: Shell, tokens: TaskTokens): Task {
  const rows: Row[] = [];
  const environment = (token: TokenName): { env: Record<string, string> } => ({ env: { TOKEN: tokens.text[token] } });
  const request = (token: TokenName): Promise<string> =>
    printed(async () => {
      const { stdout, stderr } = await shell.attempt(token === 'none' ? withoutToken : withToken, environment(token));
      return stdout.trim() || stderr.trim();
    });
  return {
    request,
    show: (token) =>
      printed(() => shell.run(`${target} -sS -i ${token === 'none' ? '' : '-H "Authorization: Bearer $TOKEN"'}`, environment(token))),
    expectCode: async (state, token, expected, when) => {
      const what = `${expected} with ${token === 'none' ? 'no token' : token} while: ${state}`;
      let got = '';
      try {
        const wait = when === 'atOnce' ? { withinMs: 0 } : {};
        await eventually(
          what,
          async () => (got = await request(token)),
          (code) => code === expected,
          wait,
        );
      } finally {
        rows.push({ state, token, expected, got });
      }
    },
    rows: () => rows,
  };
}
