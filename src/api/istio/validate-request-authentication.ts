/*
 * The webhook stage of a RequestAuthentication: adds Istio's errors and warnings about a decoded spec to a report, in Istio's
 * order.
 * @see istio pkg/config/validation: ValidateRequestAuthentication, validateJwtRule
 */

import { NS_PER_MS } from '../go/duration.ts';
import { goQuote } from '../go/quote.ts';
import { parseGoUrl } from '../go/url.ts';
import { checkJwks } from './check-jwks.ts';
import type { DecodedJwtRule, DecodedRequestAuthenticationSpec } from './decode-policy.ts';
import { validateTargets } from './validate-selector.ts';
import { type FindingText, type WebhookReport, webhookError, webhookWarning } from './validation-finding.ts';

const HEADER_NAME = /^[-_A-Za-z0-9]+$/;
/** Istio only requires that the port fits a 64-bit integer. */
const MAX_ATOI = 2n ** 63n - 1n;

/** Adds the findings about a decoded spec to `report`. */
export function validateRequestAuthenticationSpec(spec: DecodedRequestAuthenticationSpec, report: WebhookReport): void {
  validateTargets(spec, report);
  for (const [index, rule] of (spec.jwtRules ?? []).entries()) {
    const path = `spec.jwtRules[${index}]`;
    validateIssuer(rule, path, report);
    validateJwks(rule, path, report);
    validateLocations(rule, path, report);
    validateOutputs(rule, path, report);
    validateTimeout(rule, path, report);
  }
}

function validateIssuer(rule: DecodedJwtRule, path: string, report: WebhookReport): void {
  const refuse = (member: string, text: string | FindingText): void => webhookError(report, 'SP_JWT_RULE', `${path}${member}`, text);
  const jwksUri = rule.jwksUri ?? '';
  for (const [index, audience] of (rule.audiences ?? []).entries()) {
    if (audience === '') refuse(`.audiences[${index}]`, 'audience must be non-empty string');
  }
  if ((rule.issuer ?? '') === '' && jwksUri === '') refuse('', 'issuer or jwksUri must be non-empty string');
  if (jwksUri === '') return;
  const url = parseGoUrl(jwksUri, false);
  if (url.kind === 'error') refuse('.jwksUri', { message: invalidUrl(jwksUri, url.message), admissionMessage: url.message });
  else if (url.scheme !== 'http' && url.scheme !== 'https') refuse('.jwksUri', `URI scheme ${goQuote(url.scheme)} is not supported`);
  else if (url.port !== '' && BigInt(url.port) > MAX_ATOI)
    refuse('.jwksUri', {
      message: `port ${goQuote(url.port)} of the URL is out of range`,
      admissionMessage: `strconv.Atoi: parsing ${goQuote(url.port)}: value out of range`,
    });
}

/** Go's reason without its prefix `parse "URL": `. */
function invalidUrl(url: string, goMessage: string): string {
  const reason = goMessage.replace(/^parse "(?:[^"\\]|\\.)*": (?:net\/url: )?/, '');
  return `${goQuote(url)} is not a valid URL: ${reason}`;
}

function validateJwks(rule: DecodedJwtRule, path: string, report: WebhookReport): void {
  if ((rule.jwks ?? '') === '') return;
  const { error, privateKeys } = checkJwks(rule.jwks ?? '');
  if (error !== undefined) {
    const admissionMessage = `jwks parse error: failed to unmarshal JWK set: ${error.go}`;
    webhookError(report, 'SP_JWKS', `${path}.jwks`, { message: `invalid key set: ${error.plain}`, admissionMessage });
    return;
  }
  for (const index of privateKeys) {
    const message = `jwks key at index ${index} contains private key material; only public keys are used for verification`;
    webhookWarning(report, 'SP_JWKS', `${path}.jwks`, message);
  }
}

function validateLocations(rule: DecodedJwtRule, path: string, report: WebhookReport): void {
  const refuse = (member: string, message: string): void => webhookError(report, 'SP_JWT_RULE', `${path}${member}`, message);
  for (const [index, header] of (rule.fromHeaders ?? []).entries()) {
    if ((header.name ?? '') === '') refuse(`.fromHeaders[${index}].name`, 'location header name must be non-empty string');
  }
  for (const [index, name] of (rule.fromParams ?? []).entries()) {
    if (name === '') refuse(`.fromParams[${index}]`, 'location query must be non-empty string');
  }
  for (const [index, name] of (rule.fromCookies ?? []).entries()) {
    if (name === '') refuse(`.fromCookies[${index}]`, 'cookie name must be non-empty string');
  }
}

function validateOutputs(rule: DecodedJwtRule, path: string, report: WebhookReport): void {
  for (const [index, { header = '', claim = '' }] of (rule.outputClaimToHeaders ?? []).entries()) {
    const place = `${path}.outputClaimToHeaders[${index}]`;
    if (header === '' || claim === '') {
      webhookError(report, 'SP_JWT_RULE', place, 'outputClaimToHeaders header and claim value must be non-empty string');
    } else if (!HEADER_NAME.test(header)) {
      webhookError(report, 'SP_JWT_RULE', `${place}.header`, `header name ${header} is not a valid header name`);
    }
  }
}

function validateTimeout({ timeout }: DecodedJwtRule, path: string, report: WebhookReport): void {
  if (timeout === undefined) return;
  if (timeout < NS_PER_MS) webhookError(report, 'SP_JWT_RULE', `${path}.timeout`, 'duration must be greater than 1ms');
  else if (timeout % NS_PER_MS !== 0n)
    webhookError(report, 'SP_JWT_RULE', `${path}.timeout`, 'only durations to ms precision are supported');
}
