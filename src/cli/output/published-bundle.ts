/*
 * Prints what a published bundle enforces: where it is from, its JWT rules and its rules in the order of evaluation, each with the policy
 * that it is from. JSON and YAML have the whole bundle, without secrets.
 */
import { workloadKey } from '../../api/kube/keys.ts';
import type { Bundle, KeySet } from '../../bundle/bundle.ts';
import { wantedOf } from '../../policy/decide/explain-clause.ts';
import type { Clause, Engine, JwtProvider, Program, Provenance, Rule } from '../../policy/model/program.ts';
import { publishedAt } from '../input/slot-config-maps.ts';
import type { PublishedBundle } from '../live/published-bundle.ts';
import type { LiveTarget } from '../live/target.ts';
import { printable } from '../terminal/printable.ts';
import { type Cell, formatTable, paint } from './table.ts';

const DIGEST_LENGTH = 'sha256:'.length + 12;
const KEY_LENGTH = 12;

/** The bundle as a plain value; member names are stable. Symmetric keys and the values of provider headers are replaced. */
export function publishedBundleValue({ bundle, statement, configMaps, key, validUntil }: PublishedBundle, { pods }: LiveTarget): object {
  return {
    workload: workloadKey(bundle.workload),
    number: statement.number,
    published: publishedAt(statement),
    digest: statement.digest,
    signature: { result: validUntil === undefined ? 'not verified' : 'valid', key, ...(validUntil === undefined ? {} : { validUntil }) },
    configMaps,
    pods: pods.map(({ name, agent }) => ({ name, agent: agent !== undefined })),
    bundle: withoutSecrets(bundle),
  };
}

/** The same as text and tables. */
export function formatPublishedBundle(published: PublishedBundle, { pods }: LiveTarget, stream: NodeJS.WritableStream): string {
  const { bundle, statement, configMaps, key, validUntil } = published;
  const guarded = pods.filter(({ agent }) => agent !== undefined).length;
  const facts = [
    ['workload', workloadKey(bundle.workload)],
    ['bundle', `${statement.digest.slice(0, DIGEST_LENGTH)}, number ${statement.number}, published ${publishedAt(statement)}`],
    ['signature', signatureText(key, validUntil)],
    ['source', configMaps.map((name) => `ConfigMap ${name}`).join(', ')],
    ['pods', `${guarded} of ${pods.length} with an agent`],
  ].map(([name = '', value = '']) => `${paint(name.padEnd(KEY_LENGTH), 'bold', stream)}${printable(value)}\n`);
  const sections = bundle.variants.flatMap(({ labels, program: at }) => {
    const program = bundle.programs[at];
    if (program === undefined) return [];
    const pairs = Object.entries(labels).map((pair) => pair.join('='));
    const title = bundle.variants.length > 1 ? `\n${printable(`pods with ${pairs.join(',') || 'none of these labels'}:`)}\n` : '';
    return [title, ...programSections(program, bundle.keySets, stream)];
  });
  return [...facts, ...sections].join('');
}

function signatureText(key: string, validUntil: string | undefined): string {
  const short = key.slice(0, KEY_LENGTH);
  return validUntil === undefined
    ? `not verified, because no pod has an agent that names the keys to trust; key ${short}`
    : `valid for the agents of its pods, by key ${short} until ${validUntil}`;
}

function programSections(program: Program, keySets: Bundle['keySets'], stream: NodeJS.WritableStream): readonly string[] {
  const jwt = program.providers.map((provider) => jwtRow(provider, keySets[provider.keySet]));
  const rules = ruleRows(program);
  return [
    ...(jwt.length === 0 ? [] : ['\n', formatTable(['JWT RULE', 'GENERATION', 'ISSUER', 'AUDIENCES', 'TOKEN', 'KEYS'], jwt, stream)]),
    '\n',
    rules.length === 0
      ? 'no authorization rule: every request is let in that the JWT rules do not refuse\n'
      : formatTable(['ACTION', 'RULE', 'GENERATION', 'FROM', 'TO', 'WHEN'], rules, stream),
  ];
}

function jwtRow({ source, issuer, audiences, required }: JwtProvider, keys: KeySet | undefined): readonly Cell[] {
  const known: Cell =
    keys === undefined ? { text: 'none: every token is refused', style: 'red' } : `${keys.keys.length} from ${keys.source}`;
  return [
    ruleName(source, 'jwtRules'),
    generationOf(source),
    issuer === '' ? 'any' : issuer,
    audiences.join(', ') || 'any',
    required ? 'required' : 'optional',
    known,
  ];
}

/** In the order of evaluation. */
function ruleRows({ http }: Program): readonly (readonly Cell[])[] {
  const engines: readonly (readonly [action: string, engine: Engine])[] = [
    ['AUDIT', http.audit],
    ['DENY', http.deny],
    ['DENY dry-run', http.dryRunDeny],
    ['ALLOW', http.allow],
    ['ALLOW dry-run', http.dryRunAllow],
  ];
  return [
    ...http.custom.flatMap(({ name, refusal, rules }) => rules.map((rule) => ruleRow(customAction(name, refusal), rule))),
    ...engines.flatMap(([action, { attached, rules }]): readonly (readonly Cell[])[] =>
      attached && rules.length === 0 && action === 'ALLOW'
        ? [[action, '(no rule)', '', 'no client: every request is denied', '', '']]
        : rules.map((rule) => ruleRow(action, rule)),
    ),
  ];
}

function customAction(provider: string, refusal: string | undefined): string {
  return refusal === undefined ? `CUSTOM ${provider}` : `CUSTOM ${provider} (denied: ${refusal})`;
}

function ruleRow(action: string, { source, from, to, when }: Rule): readonly Cell[] {
  const style = action.startsWith('DENY') ? 'red' : 'green';
  const isPlain = !(action === 'DENY' || action === 'ALLOW');
  return [
    isPlain ? action : { text: action, style },
    ruleName(source, 'rules'),
    generationOf(source),
    anyOf(from, 'anyone'),
    anyOf(to, 'anything'),
    allOf(when),
  ];
}

function ruleName({ namespace, name, rule }: Provenance, field: string): string {
  return `${namespace}/${name} ${field}[${rule}]`;
}

function generationOf({ generation }: Provenance): string {
  return generation === 0 ? '' : String(generation);
}

/** @param anything what an alternative without clauses matches */
function anyOf(alternatives: readonly (readonly Clause[])[], anything: string): string {
  return alternatives.map((clauses) => allOf(clauses) || anything).join('; or ');
}

function allOf(clauses: readonly Clause[]): string {
  return clauses.map((clause) => `${clause.field} ${wantedOf(clause)}`).join(' and ');
}

/** The bundle with `redacted` in place of what lets a reader make tokens, or call a provider. */
function withoutSecrets(bundle: Bundle): object {
  const keySets = Object.entries(bundle.keySets).map(([name, set]) => {
    const keys = set.keys.map((key) => (key['k'] === undefined ? key : { ...key, k: 'redacted' }));
    return [name, { ...set, keys }] as const;
  });
  const text = JSON.stringify({ ...bundle, keySets: Object.fromEntries(keySets) }, (name, value: unknown) =>
    name === 'includeAdditionalHeadersInCheck' && typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.keys(value).map((header) => [header, 'redacted']))
      : value,
  );
  return JSON.parse(text) as object;
}
