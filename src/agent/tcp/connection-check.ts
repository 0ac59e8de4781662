/*
 * The ext_authz check of one TCP connection.
 */
import type { ConnectionCheck, ConnectionVerdict } from '../../filters/evaluate-connection.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { ActivePolicy, ExtAuthzClient } from '../context.ts';
import type { TcpRecord } from './tcp-record.ts';

/** Details of a silent connection for which an ext_authz server would have to be asked. */
const NOT_CHECKED = 'ext_authz_error';

/** The checks of one connection, at most one at a time. */
export class ConnectionChecks {
  #running: AbortController | undefined;
  /** Names of the providers that have allowed the connection. */
  #allowedBy: readonly string[] = [];

  /**
   * Asks the server of `check`. Without a client, and when it fails, the connection is denied.
   * @param onResponse is called once, never during `start`, and not after `abort`
   */
  start(
    check: ConnectionCheck,
    connection: ConnectionFacts,
    client: ExtAuthzClient | undefined,
    onResponse: (allowed: boolean) => void,
  ): void {
    const running = new AbortController();
    this.#running = running;
    const asked = { kind: 'check', provider: check.provider, connection } as const;
    void Promise.resolve(client?.(asked, undefined, running.signal))
      .then((response) => response?.kind === 'allow')
      .catch(() => false)
      .then((allowed) => {
        if (this.#running !== running) return;
        this.#running = undefined;
        if (allowed) this.#allowedBy = [...this.#allowedBy, check.provider.name];
        onResponse(allowed);
      });
  }

  /** The verdict with what the servers have said already: a later evaluation does not ask them again. */
  resume(verdict: ConnectionVerdict): ConnectionVerdict {
    let resumed = verdict;
    while (resumed.kind === 'check' && this.#allowedBy.includes(resumed.provider.name)) resumed = resumed.resume(true);
    return resumed;
  }

  /** Forgets the check that is running. */
  abort(): void {
    const running = this.#running;
    this.#running = undefined;
    running?.abort();
  }
}

/** The connection with the identity of its peer as far as it is known now, and the verdict of `policy` on it; undefined: there is no policy. */
export function evaluateIdentified(
  policy: ActivePolicy | undefined,
  connection: ConnectionFacts,
): { readonly identified: ConnectionFacts; readonly verdict: ConnectionVerdict } | undefined {
  if (policy === undefined) return undefined;
  const identified = policy.filterChain.identify(connection);
  return { identified, verdict: policy.filterChain.evaluateConnection(identified) };
}

/** What the record says about a connection that is not allowed. A silent client is not checked: it is denied. */
export function denialOf(
  verdict: Exclude<ConnectionVerdict, { readonly kind: 'allow' }>,
): Pick<TcpRecord, 'details' | 'decision' | 'customRule'> {
  if (verdict.kind === 'check')
    return { details: NOT_CHECKED, ...(verdict.rule.source !== undefined && { customRule: verdict.rule.source }) };
  return { details: verdict.details, ...(verdict.decision !== undefined && { decision: verdict.decision }) };
}
