/*
 * The spec of a RequestAuthentication as the API server accepts it: a zod schema with the CRD's descriptions and CEL rules.
 * Validates objects and generates the CRD.
 * @see istio.io/api security/v1beta1/request_authentication.proto
 */
import * as z from 'zod';
import { NS_PER_MS, parseGoDuration } from '../../go/duration.ts';
import { parseGoUrl } from '../../go/url.ts';
import { atMostOneOf, type CelRule, withRules } from './cel-rule.ts';
import { ONE_TARGET_MEMBERS, ONE_TARGET_MESSAGE, selectorSchema, targetRefSchema, targetRefsSchema } from './selector-schema.ts';
import { stringWithin } from './string-schema.ts';

const filled = stringWithin({ min: 1 });

const HTTP_URL: CelRule<string> = {
  rule: 'url(self).getScheme() in ["http", "https"]',
  message: 'url must have scheme http:// or https://',
  holds: (self) => {
    // CEL uses the stricter parser first, then the other one, which checks the fragment.
    const strict = parseGoUrl(self, true);
    const url = strict.kind === 'error' ? strict : parseGoUrl(self, false);
    if (url.kind === 'error') return `URL parse error during conversion from string: ${url.message}`;
    return url.scheme === 'http' || url.scheme === 'https';
  },
};

const AT_LEAST_1_MS: CelRule<string> = {
  rule: 'duration(self) >= duration("1ms")',
  message: 'must be a valid duration greater than 1ms',
  holds: (self) => {
    const duration = parseGoDuration(self);
    if (duration.kind === 'error') return "type conversion error from 'string' to 'google.protobuf.Duration'";
    return duration.ns >= NS_PER_MS;
  },
};

const keyUri = withRules(stringWithin({ min: 1, max: 2048 }), [HTTP_URL]);

const locations = {
  fromHeaders: z
    .array(
      z
        .object({
          name: filled.describe('Name of the header, in any case.'),
          prefix: z
            .string()
            .describe('Text before the token in the header value, such as "Bearer " with its space. Left out: none.')
            .optional(),
        })
        .describe('One header.'),
    )
    .describe('Headers that may carry the token. Naming any header, parameter or cookie turns off both default places.')
    .optional(),
  fromParams: z
    .array(filled.describe('Name of one query parameter.'))
    .describe('Query parameters that may carry the token; case counts.')
    .optional(),
  fromCookies: z.array(filled.describe('Name of one cookie.')).describe('Cookies that may carry the token; case counts.').optional(),
};

const outputs = {
  outputPayloadToHeader: z
    .string()
    .describe('Request header in which the workload receives the payload of a verified token, base64url as it was in the token.')
    .optional(),
  forwardOriginalToken: z
    .boolean()
    .describe('Whether the workload sees the token. Left out or false: it is taken out of the request after it was verified.')
    .optional(),
  outputClaimToHeaders: z
    .array(
      z
        .object({
          header: stringWithin({ min: 1, pattern: /^[-_A-Za-z0-9]+$/ }).describe(
            'Name of the request header to set. What clients send under this name is removed.',
          ),
          claim: filled.describe('Name of the claim; a dot leads into a nested object.'),
        })
        .describe('One claim and its header.'),
    )
    .describe('Claims of a verified token that the workload receives as request headers.')
    .optional(),
};

const jwtRule = withRules(
  z.object({
    issuer: filled
      .describe('Issuer of the tokens: must equal the claim "iss", case counts. Left out: any issuer, then jwksUri is needed.')
      .optional(),
    audiences: z
      .array(filled.describe('One audience.'))
      .describe('Audiences of which a token must name at least one in "aud". Left out: any token will do, also one without audience.')
      .optional(),
    jwksUri: keyUri
      .describe('URL of the key set (JWKS) of the issuer. Left out with jwks too: it is found by OpenID discovery at the issuer.')
      .optional(),
    jwks_uri: keyUri.describe('Other spelling of jwksUri.').optional(),
    jwks: z.string().describe('The key set itself as JSON text. Nothing is fetched then.').optional(),
    ...locations,
    ...outputs,
    timeout: withRules(z.string(), [AT_LEAST_1_MS])
      .describe('Longest time for one fetch of the keys, such as 5s or 500ms. Left out: 5s.')
      .optional(),
    spaceDelimitedClaims: z
      .array(filled.describe('Name of one claim.'))
      .max(64)
      .describe('Further claims whose text is a list separated by spaces. "scope" and "permission" always are.')
      .optional(),
    presence: z
      .enum(['OPTIONAL', 'REQUIRED'])
      .describe(
        'REQUIRED: a request without a valid token for this rule is refused with 401, as in Istio 1.32; Istio 1.31 ignores it. OPTIONAL, the default: a request without a token passes.',
      )
      .optional(),
  }),
  [atMostOneOf(['jwksUri', 'jwks_uri', 'jwks'], 'only one of jwks or jwksUri can be set')],
).describe('Tokens of one issuer: how they are recognised, found and passed on.');

/** `spec` of a RequestAuthentication. */
export const requestAuthenticationSpecSchema: z.ZodType = withRules(
  z.object({
    selector: selectorSchema.optional(),
    targetRef: targetRefSchema.optional(),
    targetRefs: targetRefsSchema.optional(),
    jwtRules: z
      .array(jwtRule)
      .max(4096)
      .describe(
        'The tokens that are accepted. A request with a token that fits none is refused; one without any token passes, unless a rule has presence REQUIRED.',
      )
      .optional(),
  }),
  [atMostOneOf(ONE_TARGET_MEMBERS, ONE_TARGET_MESSAGE)],
).describe(
  'Which tokens are valid for requests to the selected pods. It does not demand a token, unless a rule has presence REQUIRED: that is for an AuthorizationPolicy.',
);
