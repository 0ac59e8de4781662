/*
 * Findings about a policy in a file: what a cluster would refuse, each fault once and in our words, and unknown fields as errors.
 */
import { nearestName } from '../nearest-name.ts';
import { isRecord } from './decode-message.ts';
import { parsePolicy } from './parse-policy.ts';
import type { Policy } from './resources.ts';
import { ruleMeaning } from './rule-meaning.ts';
import { validatePolicy } from './validate-policy.ts';
import type { ValidationFinding } from './validation-finding.ts';

/** The stage with the plainest words about a fault first. */
const STAGES: readonly ValidationFinding['stage'][] = ['decode', 'webhook', 'crd'];
/** Without brackets; those with brackets include a name. */
const ATTRIBUTES: readonly string[] = [
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.serviceAccount',
  'source.trustDomain',
  'source.principal',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'destination.ip',
  'destination.port',
  'connection.sni',
  'request.headers',
  'request.auth.claims',
];

/**
 * Findings of every stage about one object, even after an error. A field that the decoder does not know is an error, as it is for
 * `kubectl apply`: the API server would remove it, and a rule without it may allow more than its author wrote.
 */
export function manifestFindings(object: unknown): readonly ValidationFinding[] {
  const { value } = parsePolicy(object);
  const found = validatePolicy(object, 'everything');
  const meaningOf = ruleMeanings(value, object);
  const inWords = found.map((finding) => (finding.stage === 'decode' ? unknownFieldError(finding, meaningOf) : plainFinding(finding)));
  const ordered = inWords.toSorted((one, other) => STAGES.indexOf(one.stage) - STAGES.indexOf(other.stage));
  const seen = new Set<string>();
  return ordered.filter(({ path, severity, code }) => {
    // Several stages refuse the same value in different words. The API server refuses all labels of a selector together.
    const isRepeated = code === 'SP_CEL' && path.endsWith('.matchLabels') && [...seen].some((key) => key.includes(`${path}[`));
    const key = `${severity} ${path}`;
    return !isRepeated && !seen.has(key) && seen.add(key);
  });
}

/** Unknown fields are all that the decoder warns of. */
function unknownFieldError(finding: ValidationFinding, meaningOf: (rule: number) => string | undefined): ValidationFinding {
  if (finding.severity === 'error') return finding;
  const rule = /^spec\.rules\[(\d+)\]/.exec(finding.path)?.[1];
  const meaning = rule === undefined ? undefined : meaningOf(Number(rule));
  return {
    ...finding,
    severity: 'error',
    message: meaning === undefined ? finding.message : `${finding.message}; without it the rule ${meaning}`,
  };
}

/** What each rule means without its unknown fields, found once for a rule with thousands of them. */
function ruleMeanings(policy: Policy | undefined, object: unknown): (rule: number) => string | undefined {
  const meanings = new Map<number, string | undefined>();
  return (rule) => {
    if (policy?.kind !== 'AuthorizationPolicy' || !isRecord(object)) return undefined;
    if (!meanings.has(rule)) meanings.set(rule, ruleMeaning(policy.spec, rule));
    return meanings.get(rule);
  };
}

const UNKNOWN_ATTRIBUTE = ': unknown attribute: ';

/** The texts of the API server repeat the path and the kind of value; conditions report an unknown key for each of their arrays. */
function plainFinding(finding: ValidationFinding): ValidationFinding {
  const { message, path } = finding;
  const at = message.indexOf(UNKNOWN_ATTRIBUTE);
  if (at !== -1) {
    const attribute = message.slice(at + UNKNOWN_ATTRIBUTE.length);
    return { ...finding, path: path.replace(/\.(not)?[vV]alues$/, '.key'), ...unknownAttribute(attribute) };
  }
  if (finding.stage !== 'crd') return finding;
  const tooShort = /^Invalid value: "[^"]*": .* in body should be at least (\d+) chars long$/.exec(message)?.[1];
  if (tooShort !== undefined)
    return { ...finding, message: tooShort === '1' ? 'must not be empty' : `must have at least ${tooShort} characters` };
  return { ...finding, message: message.replace(/^Invalid value: ("(?:[^"\\]|\\.)*": )?/, '') };
}

function unknownAttribute(attribute: string): Pick<ValidationFinding, 'message'> & { readonly hint?: string } {
  const bracket = attribute.indexOf('[');
  const [name, rest] = bracket === -1 ? [attribute, ''] : [attribute.slice(0, bracket), attribute.slice(bracket)];
  const intended = nearestName(name, ATTRIBUTES);
  return {
    message: `unknown attribute ${JSON.stringify(attribute)}`,
    ...(intended === undefined || intended === name ? {} : { hint: `did you mean ${intended}${rest}?` }),
  };
}
