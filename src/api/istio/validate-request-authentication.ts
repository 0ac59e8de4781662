/*
 * The webhook's checks of a RequestAuthentication. Decoded spec in, findings added to a report, in Istio's order and words.
 * Called by validate-policy.
 * @see istio pkg/config/validation: ValidateRequestAuthentication, validateJwtRule
 */

import { NS_PER_MS } from '../go/duration.ts';
import { goQuote } from '../go/quote.ts';
import { parseGoUrl } from '../go/url.ts';
import { checkJwks } from './check-jwks.ts';
import type { DecodedJwtRule, DecodedRequestAuthenticationSpec } from './decode-policy.ts';
import { validateTargets } from './validate-selector.ts';
import { type WebhookReport, webhookError, webhookWarning } from './validation-finding.ts';

const HEADER_NAME = /^[-_A-Za-z0-9]+$/;
/** Istio reads the port as a 64-bit integer and asks no more of it. */
const MAX_ATOI = 2n ** 63n - 1n;

/** Checks a decoded spec. */
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
  const refuse = (member: string, message: string): void => webhookError(report, 'SP_JWT_RULE', `${path}${member}`, message);
  const jwksUri = rule.jwksUri ?? '';
  for (const [index, audience] of (rule.audiences ?? []).entries()) {
    if (audience === '') refuse(`.audiences[${index}]`, 'audience must be non-empty string');
  }
  if ((rule.issuer ?? '') === '' && jwksUri === '') refuse('', 'issuer or jwksUri must be non-empty string');
  if (jwksUri === '') return;
  const url = parseGoUrl(jwksUri, false);
  if (url.kind === 'error') refuse('.jwksUri', url.message);
  else if (url.scheme !== 'http' && url.scheme !== 'https') refuse('.jwksUri', `URI scheme ${goQuote(url.scheme)} is not supported`);
  else if (url.port !== '' && BigInt(url.port) > MAX_ATOI)
    refuse('.jwksUri', `strconv.Atoi: parsing ${goQuote(url.port)}: value out of range`);
}

function validateJwks(rule: DecodedJwtRule, path: string, report: WebhookReport): void {
  if ((rule.jwks ?? '') === '') return;
  const { error, privateKeys } = checkJwks(rule.jwks ?? '');
  if (error !== undefined) {
    webhookError(report, 'SP_JWKS', `${path}.jwks`, `jwks parse error: failed to unmarshal JWK set: ${error}`);
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
