/*
 * The requests of the task, typed as its reader types them. In: a token's name. Out: the code that curl prints. Keeps a record
 * of every row for the closing table. Suites make one task each.
 */
import { eventually } from './eventually.ts';
import type { Shell } from './shell.ts';
import type { TaskTokens, TokenName } from './tokens.ts';

const target = `kubectl exec "$(kubectl get pod -l app=sleep -n foo -o jsonpath={.items..metadata.name})" -c sleep -n foo -- curl "http://httpbin.foo:8000/headers"`;
const withToken = `${target} -sS -o /dev/null -H "Authorization: Bearer $TOKEN" -w "%{http_code}\\n"`;
const withoutToken = `${target} -sS -o /dev/null -w "%{http_code}\\n"`;

/** One line of the closing table. */
export interface Row {
  readonly state: string;
  readonly token: TokenName;
  readonly expected: string;
  readonly got: string;
}

export interface Task {
  /** Types the task's command once. @returns the code, e.g. `200`; `000` when nothing answered */
  readonly request: (token: TokenName) => Promise<string>;
  /** Body and headers of one answer, as `curl -i` shows them. */
  readonly show: (token: TokenName) => Promise<string>;
  /**
   * Types it until `expected` comes, at most 20 s, and records the row. A row that no change precedes must be right at once:
   * then give `atOnce`.
   */
  readonly expectCode: (state: string, token: TokenName, expected: string, when?: 'atOnce') => Promise<void>;
  readonly rows: () => readonly Row[];
}

/** The task on one shell. */
export function createTask(shell: Shell, tokens: TaskTokens): Task {
  const rows: Row[] = [];
  const environment = (token: TokenName): { env: Record<string, string> } => ({ env: { TOKEN: tokens.text[token] } });
  const request = async (token: TokenName): Promise<string> => {
    const { stdout, stderr } = await shell.attempt(token === 'none' ? withoutToken : withToken, environment(token));
    return stdout.trim() || stderr.trim();
  };
  return {
    request,
    show: (token) => shell.run(`${target} -sS -i ${token === 'none' ? '' : '-H "Authorization: Bearer $TOKEN"'}`, environment(token)),
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
