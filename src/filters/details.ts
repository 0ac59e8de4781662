/*
 * Replies and response code details of denials, as Envoy writes them.
 */

import { NO_HEADERS } from '../http/header-list.ts';
import type { LocalReply } from '../http/local-reply.ts';

const WHITESPACE = /\s/g;
const NO_RULE = 'rbac_access_denied_matched_policy[none]';

/** The reply of every denial by a policy; it does not reveal which policy. */
export function accessDenied(details: string): LocalReply {
  return { kind: 'reply', status: 403, body: 'RBAC: access denied', headers: NO_HEADERS, close: false, details };
}

/**
 * Envoy's response code details of a denial by policy.
 * @param ruleId id of the rule that decided; absent: no ALLOW rule matched
 */
export function deniedDetails(ruleId: string | undefined): string {
  return ruleId === undefined ? NO_RULE : `rbac_access_denied_matched_policy[${ruleId}]`.replace(WHITESPACE, '_');
}

/** Envoy's response code details of a request that the filters left in a state that cannot be sent. @param fault as in the body */
export function unsendableDetails(fault: string): string {
  return `filter_removed_required_request_headers{${fault}}`.replace(WHITESPACE, '_');
}
