/*
 * Notes of docs/reference/support-matrix.md that cannot be derived from the code: one per field of the CRDs. The generator
 * fails when a field has no note, or a note has no field.
 */

/** How a field is supported, and remarks. `as in Istio`: without any difference. */
export interface SupportNote {
  readonly status: 'as in Istio' | 'with a difference' | 'accepted, no effect';
  readonly note: string;
}

const same = (note = ''): SupportNote => ({ status: 'as in Istio', note });
const peer = (): SupportNote => same('needs the identity of an mTLS peer; without one it never matches');
const notPeer = (): SupportNote => same('without the identity of an mTLS peer it always holds');

const differs = (names: string, note: string): SupportNote => ({
  status: 'with a difference',
  note: `${note}: ${names} in [differences](../differences.md)`,
});
const gateway = (): SupportNote =>
  same('selects the pods of a Gateway API gateway of the same namespace; a policy with a target reference never selects other pods');

/** What a later version of Istio adds to the two kinds: the addition, and what Istio 1.31, Istio 1.32 and Sallyport do with it. */
export const VERSION_ROWS: readonly (readonly [string, string, string, string])[] = [
  [
    '`jwtRules[].presence`',
    'admitted by the CRD, without effect',
    '`REQUIRED` is enforced',
    'enforced as by 1.32: `presence-required` in [differences](../differences.md)',
  ],
  [
    '`targetRefs` to an `HTTPRoute`',
    'rejected on admission',
    'admitted behind a feature flag; concerns the routes of gateways, not sidecars',
    'rejected on admission, as by 1.31',
  ],
];

/** Pod Security levels: whether pods with agents run there in each mode of the capture. */
export const POD_SECURITY_ROWS: readonly (readonly [string, string, string])[] = [
  ['`privileged`', 'yes', 'yes'],
  ['`baseline`', 'no, refused by the webhook', 'yes'],
  ['`restricted`', 'no, refused by the webhook', 'yes, if the application complies; `test/e2e/restricted.test.ts`'],
];

export const REQUEST_AUTHENTICATION_NOTES: Readonly<Record<string, SupportNote>> = {
  'selector.matchLabels': same(),
  'targetRef.group': gateway(),
  'targetRef.kind': gateway(),
  'targetRef.name': gateway(),
  'targetRef.namespace': gateway(),
  'targetRefs[].group': gateway(),
  'targetRefs[].kind': gateway(),
  'targetRefs[].name': gateway(),
  'targetRefs[].namespace': gateway(),
  'jwtRules[].issuer': same('compared exactly; empty or absent: any issuer'),
  'jwtRules[].audiences': same('`http://`, `https://` and a trailing `/` are ignored; a wrong audience is 403'),
  'jwtRules[].jwksUri': differs(
    '`jwks-symmetric-from-url`, `jwks-limits`',
    'fetched by the controller, which keeps the last good keys; no symmetric keys',
  ),
  'jwtRules[].jwks_uri': same('older spelling of `jwksUri`'),
  'jwtRules[].jwks': differs('`jwks-without-usable-key`, `jwks-limits`', 'sets that no token can be verified with'),
  'jwtRules[].fromHeaders[].name': differs(
    '`listener-refused`, `output-header-reserved`',
    'also `host`, `:authority`, `:path`, `:method` and `:scheme`; names that Envoy refuses, and a token that is removed from Host',
  ),
  'jwtRules[].fromHeaders[].prefix': differs('`listener-refused`', 'case-sensitive; line breaks'),
  'jwtRules[].fromParams': differs('`query-rebuild-escapes`', 'the query without the token is written with escapes'),
  'jwtRules[].fromCookies': same(),
  'jwtRules[].outputPayloadToHeader': differs(
    '`output-header-underscore`, `output-header-reserved`',
    'which request headers are removed; names that no token may set',
  ),
  'jwtRules[].outputClaimToHeaders[].header': differs(
    '`output-header-underscore`, `output-header-reserved`',
    '`-` and `_` are equal when request headers are removed; names that no token may set',
  ),
  'jwtRules[].outputClaimToHeaders[].claim': same(),
  'jwtRules[].forwardOriginalToken': same(),
  'jwtRules[].timeout': same('timeout of one key fetch'),
  'jwtRules[].spaceDelimitedClaims': same(),
  'jwtRules[].presence': differs('`presence-required`', 'REQUIRED: a request without this token is 401'),
};

export const AUTHORIZATION_POLICY_NOTES: Readonly<Record<string, SupportNote>> = {
  'selector.matchLabels': same(),
  'targetRef.group': gateway(),
  'targetRef.kind': gateway(),
  'targetRef.name': gateway(),
  'targetRef.namespace': gateway(),
  'targetRefs[].group': gateway(),
  'targetRefs[].kind': gateway(),
  'targetRefs[].name': gateway(),
  'targetRefs[].namespace': gateway(),
  action: same('ALLOW, DENY, AUDIT, CUSTOM; dry-run by annotation'),
  'provider.name': differs(
    '`custom-unknown-service`',
    'CUSTOM only; a provider that is not configured denies what its rules match; its settings decide while it cannot be reached',
  ),
  'rules[].from[].source.principals': peer(),
  'rules[].from[].source.notPrincipals': notPeer(),
  'rules[].from[].source.requestPrincipals': same('`iss/sub`, split at the last slash'),
  'rules[].from[].source.notRequestPrincipals': same(),
  'rules[].from[].source.namespaces': peer(),
  'rules[].from[].source.notNamespaces': notPeer(),
  'rules[].from[].source.serviceAccounts': peer(),
  'rules[].from[].source.notServiceAccounts': notPeer(),
  'rules[].from[].source.trustDomains': peer(),
  'rules[].from[].source.notTrustDomains': notPeer(),
  'rules[].from[].source.ipBlocks': same("the TCP peer's address"),
  'rules[].from[].source.notIpBlocks': same(),
  'rules[].from[].source.remoteIpBlocks': same('the last element of X-Forwarded-For, else the TCP peer'),
  'rules[].from[].source.notRemoteIpBlocks': same(),
  'rules[].to[].operation.hosts': same('with the port as sent; case-insensitive'),
  'rules[].to[].operation.notHosts': same(),
  'rules[].to[].operation.ports': same('the container port'),
  'rules[].to[].operation.notPorts': same(),
  'rules[].to[].operation.methods': same(),
  'rules[].to[].operation.notMethods': same(),
  'rules[].to[].operation.paths': differs(
    '`listener-refused`, `values-not-admitted`',
    'normalized, without query; templates `{*}` and `{**}`',
  ),
  'rules[].to[].operation.notPaths': differs('`listener-refused`', 'as `paths`'),
  'rules[].when[].key': differs('`listener-refused`', 'see the table of keys; names that Envoy refuses'),
  'rules[].when[].values': same(),
  'rules[].when[].notValues': same(),
};

/** Keys of `when`: an example each, good values for it, and what to know. */
export const CONDITION_NOTES: Readonly<Record<string, { readonly example: string; readonly value: string; readonly note: SupportNote }>> = {
  'request.headers[NAME]': { example: 'request.headers[x-tenant]', value: 'a', note: same() },
  'source.ip': { example: 'source.ip', value: '10.0.0.0/8', note: same() },
  'remote.ip': { example: 'remote.ip', value: '10.0.0.0/8', note: same() },
  'source.namespace': { example: 'source.namespace', value: 'foo', note: peer() },
  'source.principal': { example: 'source.principal', value: 'cluster.local/ns/foo/sa/a', note: peer() },
  'source.serviceAccount': { example: 'source.serviceAccount', value: 'foo/a', note: peer() },
  'source.trustDomain': { example: 'source.trustDomain', value: 'cluster.local', note: peer() },
  'request.auth.principal': { example: 'request.auth.principal', value: 'iss/sub', note: same() },
  'request.auth.audiences': { example: 'request.auth.audiences', value: 'web', note: same() },
  'request.auth.presenter': { example: 'request.auth.presenter', value: 'app', note: same('claim `azp`') },
  'request.auth.claims[NAME]…': {
    example: 'request.auth.claims[groups]',
    value: 'admin',
    note: same('nested names in more brackets; strings and arrays of strings match'),
  },
  'destination.ip': { example: 'destination.ip', value: '10.0.0.0/8', note: same() },
  'destination.port': { example: 'destination.port', value: '80', note: same() },
  'connection.sni': { example: 'connection.sni', value: 'a.example', note: same('needs TLS that the agent can read') },
  'experimental.envoy.filters.FILTER[KEY]': {
    example: 'experimental.envoy.filters.a.b[c]',
    value: 'd',
    note: {
      status: 'accepted, no effect',
      note: 'metadata of Envoy filters, which exists in Envoy only: never matches, and is invalid where a filter of Istio writes it (`metadata-of-filters`)',
    },
  },
};
