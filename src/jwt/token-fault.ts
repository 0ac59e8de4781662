/*
 * The reasons for refusing a token. Each is Envoy's exact string and becomes the body of the 401 or 403.
 */

/** A reason for refusing a token, as in the body of the reply. */
export type TokenFault =
  | 'Jwt is missing'
  | 'Jwt not yet valid'
  | 'Jwt is expired'
  | 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'
  | 'Jwt header is an invalid Base64url encoded'
  | 'Jwt header is an invalid JSON'
  | 'Jwt header [alg] field is required and must be a string'
  | 'Jwt header [alg] is not supported'
  | 'Jwt header [kid] field is not a string'
  | 'Jwt payload is an invalid Base64url encoded'
  | 'Jwt payload is an invalid JSON'
  | 'Jwt payload [iss] field is not a string'
  | 'Jwt payload [sub] field is not a string'
  | 'Jwt payload [jti] field is not a string'
  | 'Jwt payload [aud] field is not a string or string list'
  | `Jwt payload [${'iat' | 'nbf' | 'exp'}] field is not an integer`
  | `Jwt payload [${'iat' | 'nbf' | 'exp'}] field is not a positive 64 bit integer`
  | 'Jwt signature is an invalid Base64url encoded'
  | 'Jwt ED25519 signature is wrong length'
  | 'Jwt issuer is not configured'
  | 'Audiences in Jwt are not allowed'
  | 'Jwt verification fails'
  | "Jwks doesn't have key to match kid or alg from Jwt";

/** The fault of a request without the token that a rule requires (`presence: REQUIRED`). */
export const MISSING: Extract<TokenFault, 'Jwt is missing'> = 'Jwt is missing';
/** The only fault that is replied with 403; all others get 401. */
export const AUDIENCE_NOT_ALLOWED: Extract<TokenFault, 'Audiences in Jwt are not allowed'> = 'Audiences in Jwt are not allowed';
/** The token belongs to another issuer; another rule may accept it. */
export const UNKNOWN_ISSUER: Extract<TokenFault, 'Jwt issuer is not configured'> = 'Jwt issuer is not configured';
/** No key verifies the token; also the fault of every token of a rule without keys. */
export const VERIFICATION_FAILS: Extract<TokenFault, 'Jwt verification fails'> = 'Jwt verification fails';
/** No key matches the token's `kid` and `alg`. */
export const NO_MATCHING_KEY: Extract<TokenFault, "Jwks doesn't have key to match kid or alg from Jwt"> =
  "Jwks doesn't have key to match kid or alg from Jwt";
