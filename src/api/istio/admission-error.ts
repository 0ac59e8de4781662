/*
 * Findings of the webhook layer in, the text that Istio's webhook would answer with out. Called by the webhook and by
 * tests that compare with recorded refusals.
 */
import type { ValidationFinding } from './validation-finding.ts';
import { errorBlock } from './validation-finding.ts';

/** Checks of Istio that return a list of errors even when there is one. */
const LISTED = /^bad (?:IP address|CIDR range|port) \(/;

/**
 * Istio's error text for one object: a lone error as one line (errors of a JWT rule, an address or a port always as a block),
 * several as a block.
 *
 * @param findings of {@link validatePolicy}; CRD findings and warnings are passed over
 * @returns undefined when there is no error. Does not begin with `configuration is invalid: `, see {@link denialMessage}
 */
export function admissionError(kind: string, namespace: string, name: string, findings: readonly ValidationFinding[]): string | undefined {
  const errors = findings.filter((finding) => finding.severity === 'error' && finding.stage !== 'crd');
  const decode = errors.find((finding) => finding.stage === 'decode');
  if (decode !== undefined) return decode.message;
  // Istio looks at top-level fields last, only when all else is good, and names one.
  const told = errors.filter(({ code }) => code !== 'SP_SCHEMA');
  const [unknownField] = errors;
  if (unknownField !== undefined && told.length === 0) return unknownField.message;
  const lines = told.map((finding) => `${prefixOf(kind, namespace, name, finding)}${finding.message}`);
  const [only] = lines;
  if (only === undefined) return undefined;
  const isBlock = lines.length > 1 || told[0]?.path.startsWith('spec.jwtRules') === true || LISTED.test(told[0]?.message ?? '');
  return isBlock ? errorBlock(lines) : only;
}

/** The whole message of the denial, with the words that tell where it went wrong. */
export function denialMessage(kind: string, namespace: string, name: string, findings: readonly ValidationFinding[]): string | undefined {
  const error = admissionError(kind, namespace, name, findings);
  if (error === undefined) return undefined;
  if (findings.some((finding) => finding.stage === 'decode' && finding.severity === 'error'))
    return `error decoding configuration: ${error}`;
  return error.startsWith('unknown field ') ? error : `configuration is invalid: ${error}`;
}

/** The webhook's warnings, one text each, not made unique. */
export function admissionWarnings(findings: readonly ValidationFinding[]): readonly string[] {
  return findings.filter((finding) => finding.severity === 'warning').map((finding) => finding.message);
}

function prefixOf(kind: string, namespace: string, name: string, finding: ValidationFinding): string {
  const isPrefixed = kind === 'AuthorizationPolicy' && finding.code !== 'SP_ANNOTATION' && finding.code !== 'SP_SCHEMA';
  return isPrefixed ? `invalid policy ${name}.${namespace}: ` : '';
}
