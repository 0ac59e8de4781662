/*
 * Other decision engines with the rules of the mix in their own language. The engine benchmark compares them with ours.
 */
import { readFileSync } from 'node:fs';
import cedar from '@cedar-policy/cedar-wasm/nodejs';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { newEnforcer, newModel } from 'casbin';
import { compileRego, OPA_VERSION } from './engine-opa.ts';
import type { MixedRequest, MixedRule } from './engine-shapes.ts';

/** Prepares a request, which is not measured, and returns the decision function, which is. */
export type Ask = (request: MixedRequest) => () => boolean;

export interface Peer {
  readonly name: string;
  /** @throws Error when the engine is not available */
  load(rules: readonly MixedRule[]): Promise<Ask>;
}

/** Version of an installed package. */
function versionOf(name: string): string {
  const manifest = new URL(`../../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version;
}

function cedarPolicy({ method, path, principal, group, host, tenant, block }: MixedRule): string {
  const conditions = [
    path.endsWith('*') ? `context.path like "${path}"` : `context.path == "${path}"`,
    `context.groups.contains("${group}")`,
    ...(host === '' ? [] : [`context.host == "${host}"`]),
    ...(tenant === '' ? [] : [`context.tenant == "${tenant}"`]),
    ...(block === '' ? [] : [`context.address.isInRange(ip("${block}"))`]),
  ];
  return `permit(principal == Client::"${principal}", action == Action::"${method}", resource) when { ${conditions.join(' && ')} };`;
}

const cedarPeer: Peer = {
  name: `cedar-wasm ${versionOf('@cedar-policy/cedar-wasm')}`,
  load: (rules) => {
    const parsed = cedar.preparsePolicySet('bench', { staticPolicies: rules.map(cedarPolicy).join('\n') });
    if (parsed.type !== 'success') throw new Error(JSON.stringify(parsed));
    return Promise.resolve((request) => {
      const { method, path, principal, groups, host, tenant, address } = request;
      const call = {
        principal: { type: 'Client', id: principal },
        action: { type: 'Action', id: method },
        resource: { type: 'Service', id: 'shop' },
        context: { path, groups: [...groups], host, tenant, address: { __extn: { fn: 'ip', arg: address } } },
        entities: [],
        preparsedPolicySetId: 'bench',
      };
      return () => {
        const answer = cedar.statefulIsAuthorized(call);
        if (answer.type !== 'success') throw new Error(JSON.stringify(answer));
        return answer.response.decision === 'allow';
      };
    });
  },
};

/** Rules as data with one Rego body. */
const REGO_LIST = `package bench
default allow := false
path_fits(rule) if rule.exact == input.path
path_fits(rule) if { rule.prefix != ""; startswith(input.path, rule.prefix) }
host_fits(rule) if rule.host == ""
host_fits(rule) if rule.host == input.host
tenant_fits(rule) if rule.tenant == ""
tenant_fits(rule) if rule.tenant == input.tenant
block_fits(rule) if rule.block == ""
block_fits(rule) if { rule.block != ""; net.cidr_contains(rule.block, input.address) }
allow if {
  some rule in data.rules
  rule.method == input.method
  path_fits(rule)
  rule.principal == input.principal
  rule.group in input.groups
  host_fits(rule)
  tenant_fits(rule)
  block_fits(rule)
}
`;

/** One Rego body per rule, as written by hand. */
function regoBodies(rules: readonly MixedRule[]): string {
  const bodies = rules.map(({ method, path, principal, group, host, tenant, block }) => {
    const conditions = [
      `input.method == "${method}"`,
      path.endsWith('*') ? `startswith(input.path, "${path.slice(0, -1)}")` : `input.path == "${path}"`,
      `input.principal == "${principal}"`,
      `"${group}" in input.groups`,
      ...(host === '' ? [] : [`input.host == "${host}"`]),
      ...(tenant === '' ? [] : [`input.tenant == "${tenant}"`]),
      ...(block === '' ? [] : [`net.cidr_contains("${block}", input.address)`]),
    ];
    return `allow if { ${conditions.join('; ')} }`;
  });
  return ['package bench', 'default allow := false', ...bodies, ''].join('\n');
}

async function askOpa(rego: string, data: object): Promise<Ask> {
  const policy = await loadPolicy(await compileRego(rego, 'bench/allow'), 8192);
  policy.setData(data);
  return (request) => {
    const input = { ...request };
    return () => (policy.evaluate(input) as readonly [{ readonly result: boolean }])[0].result;
  };
}

const opaVersions: string = `${OPA_VERSION}, opa-wasm ${versionOf('@open-policy-agent/opa-wasm')}`;

const opaListPeer: Peer = {
  name: `OPA (rules as data) ${opaVersions}`,
  load: (rules) => {
    const listed = rules.map(({ path, ...rest }) => ({
      ...rest,
      exact: path.endsWith('*') ? '' : path,
      prefix: path.endsWith('*') ? path.slice(0, -1) : '',
    }));
    return askOpa(REGO_LIST, { rules: listed });
  },
};

const opaBodiesPeer: Peer = {
  name: `OPA (rules as Rego) ${opaVersions}`,
  load: (rules) => askOpa(regoBodies(rules), {}),
};

const CASBIN_MODEL = `[request_definition]
r = method, path, principal, groups, host, tenant, address
[policy_definition]
p = method, path, principal, group, host, tenant, block
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.method == p.method && keyMatch(r.path, p.path) && r.principal == p.principal && has(r.groups, p.group) && (p.host == '*' || r.host == p.host) && (p.tenant == '*' || r.tenant == p.tenant) && (p.block == '*' || ipMatch(r.address, p.block))
`;

const casbinPeer: Peer = {
  name: `casbin ${versionOf('casbin')}`,
  load: async (rules) => {
    const enforcer = await newEnforcer(newModel(CASBIN_MODEL));
    await enforcer.addFunction('has', (groups: readonly string[], group: string) => groups.includes(group));
    await enforcer.addPolicies(
      rules.map(({ method, path, principal, group, host, tenant, block }) => [
        method,
        path,
        principal,
        group,
        host || '*',
        tenant || '*',
        block || '*',
      ]),
    );
    return ({ method, path, principal, groups, host, tenant, address }) =>
      () =>
        enforcer.enforceSync(method, path, principal, groups, host, tenant, address);
  },
};

/** All engines, in the order of the table. */
export const PEERS: readonly Peer[] = [cedarPeer, opaListPeer, opaBodiesPeer, casbinPeer];
