/*
 * The issuer, the workloads and the policies of the task as YAML for `kubectl apply -f -`. The workloads are those of Istio's
 * task with probes, which must keep working behind an agent.
 */
import { taskImages } from './images.ts';

/** A key server without an agent, in a separate namespace. @param jwks the key set to serve, JSON */
export function issuerManifest(jwks: string): string {
  return `
apiVersion: v1
kind: Namespace
metadata: { name: keys }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: jwks, namespace: keys }
data:
  jwks.json: '${jwks}'
---
apiVersion: v1
kind: Pod
metadata: { name: issuer, namespace: keys, labels: { app: issuer } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: issuer
      image: ${taskImages.httpbin}
      imagePullPolicy: Never
      args: [/app/issuer.mjs]
      env: [{ name: JWKS_FILE, value: /keys/jwks.json }, { name: PORT, value: "8001" }]
      ports: [{ containerPort: 8001 }]
      readinessProbe: { httpGet: { path: /jwks.json, port: 8001 }, periodSeconds: 1 }
      volumeMounts: [{ name: keys, mountPath: /keys }]
  volumes: [{ name: keys, configMap: { name: jwks } }]
---
apiVersion: v1
kind: Service
metadata: { name: issuer, namespace: keys }
spec: { selector: { app: issuer }, ports: [{ port: 8001 }] }`;
}

/** URL from which the controller fetches the keys. */
export const jwksUri = 'http://issuer.keys:8001/jwks.json';

/** Deployment and Service of httpbin, with liveness and readiness probes that go through the application. */
export const httpbinManifest: string = `
apiVersion: v1
kind: Service
metadata: { name: httpbin, namespace: foo }
spec:
  selector: { app: httpbin }
  ports: [{ name: http, port: 8000, targetPort: 8080 }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: httpbin, namespace: foo }
spec:
  selector: { matchLabels: { app: httpbin } }
  template:
    metadata: { labels: { app: httpbin } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: httpbin
          image: ${taskImages.httpbin}
          imagePullPolicy: Never
          ports: [{ name: http, containerPort: 8080 }]
          livenessProbe: { httpGet: { path: /status/200, port: http }, periodSeconds: 2, failureThreshold: 2 }
          readinessProbe: { httpGet: { path: /status/204, port: http }, periodSeconds: 1, failureThreshold: 1 }
          securityContext: { runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false }`;

/** Deployment of the client. */
export const sleepManifest: string = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: sleep, namespace: foo }
spec:
  selector: { matchLabels: { app: sleep } }
  template:
    metadata: { labels: { app: sleep } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: sleep
          image: ${taskImages.sleep}
          imagePullPolicy: Never`;

/** Reads the bundle's volume without an agent, so that nothing makes the kubelet refresh it early: logs seconds since boot and the digest at each change. */
export const volumeWatchManifest: string = `
apiVersion: v1
kind: Pod
metadata: { name: volume-watch, namespace: foo, labels: { app: volume-watch, sallyport.dev/injection: disabled } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: watch
      image: ${taskImages.sleep}
      imagePullPolicy: Never
      command: [/bin/sh, -c]
      args:
        - |
          last=
          while :; do
            now=$(sha256sum < /bundle/part 2>/dev/null)
            if [ "$now" != "$last" ]; then read -r up idle < /proc/uptime; echo "$up $now"; last=$now; fi
            usleep 100000
          done
      volumeMounts: [{ name: bundle, mountPath: /bundle }]
  volumes: [{ name: bundle, configMap: { name: sallyport-bundle-deployment.httpbin.0, optional: true } }]`;

const selectHttpbin = 'selector: { matchLabels: { app: httpbin } }';

/** Tokens of the task's issuer are verified. */
export const requestAuthentication: string = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt-example, namespace: foo }
spec:
  ${selectHttpbin}
  jwtRules:
    - issuer: testing@secure.istio.io
      jwksUri: ${jwksUri}`;

/** Only requests with a token of this principal. */
export const requireJwt: string = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: require-jwt, namespace: foo }
spec:
  ${selectHttpbin}
  action: ALLOW
  rules:
    - from:
        - source:
            requestPrincipals: ["testing@secure.istio.io/testing@secure.istio.io"]`;

/** The same, and the token must name group1. */
export const requireGroup: string = `${requireJwt}
      when:
        - key: request.auth.claims[groups]
          values: ["group1"]`;

/** An AuthorizationPolicy in `foo`. @param spec in YAML's flow style, without braces */
export function policy(name: string, spec: string): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: foo }
spec: { ${spec} }`;
}
