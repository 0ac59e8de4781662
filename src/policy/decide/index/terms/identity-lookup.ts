/*
 * Looks up one identity of a peer. The regular expressions that Istio generates may match at any position of an identity, so every
 * position is looked up.
 */
import { addHit, type Hits } from './posting.ts';
import { ACCOUNT_SEPARATOR } from './term.ts';
import { findString, type TermIndex } from './term-index.ts';

const NS = '/ns/';
const SA = '/sa/';

/** The number of pairs of a namespace and an account grows with the square of the length: longer identities hit all accounts instead. */
const MAX_SEARCHED = 256;

/** Adds what an identity hits. */
export function findIdentity(index: TermIndex, identity: string, hits: Hits): void {
  findString(index, identity, 'non-empty', hits);
  if (index.namespaces === undefined && index.accounts === undefined) return;
  const isLong = identity.length > MAX_SEARCHED;
  if (isLong) addHit(hits, index.everyAccount);
  for (let at = identity.indexOf(NS); at !== -1; at = identity.indexOf(NS, at + 1)) {
    const start = at + NS.length;
    if (index.namespaces !== undefined) addHit(hits, index.namespaces.find(identity, start));
    if (index.accounts !== undefined && !isLong) findAccounts(index.accounts, identity, start, hits);
  }
}

/** Adds the accounts of the namespace at `start`; any later segment may name the account. */
function findAccounts(accounts: NonNullable<TermIndex['accounts']>, identity: string, start: number, hits: Hits): void {
  const slash = identity.indexOf('/', start);
  if (slash === -1) return;
  const namespace = identity.slice(start, slash);
  for (let at = identity.indexOf(SA, slash); at !== -1; at = identity.indexOf(SA, at + 1)) {
    const from = at + SA.length;
    const next = identity.indexOf('/', from);
    addHit(hits, accounts.get(namespace + ACCOUNT_SEPARATOR + identity.slice(from, next === -1 ? identity.length : next)));
  }
}
