/*
 * Examples of every command, for its help and for docs/reference/cli.md.
 */

const EXAMPLES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    run: ['sallyport run ./manifests', 'sallyport run ./manifests --config mesh.yaml > access.log'],
    check: [
      'sallyport check policies/',
      'sallyport check -o json --fail-on warning policies/ | jq .findings',
      'sallyport check -o sarif policies/ > findings.sarif',
      'sallyport check --no-new-access main/policies/ policies/',
      'kubectl get ra,ap -A -o yaml | sallyport check -',
      'kubectl sallyport check -n shop',
      'kubectl sallyport check -A --context production -o json',
    ],
    compile: ['sallyport compile manifests/', 'sallyport compile manifests/ --workload foo/httpbin -o json | jq .bundle'],
    explain: [
      'sallyport explain policies/ workloads.yaml --workload foo/httpbin --url /headers --token token.txt --jwks jwks.json',
      "sallyport explain policies/ --workload foo/httpbin --labels app=httpbin -X POST --url http://httpbin.foo:8000/post -H 'X-Tenant: a' -d '{}'",
      'kubectl get configmap -n foo NAME -o yaml > bundle.yaml && sallyport explain --bundle bundle.yaml --request request.http -o json',
      'sallyport explain policies/ --workload foo/httpbin --har session.har --entry 3',
      'kubectl sallyport explain httpbin-6b8c9f-x2x7p -n shop --url /admin --token token.txt',
      'kubectl sallyport logs deployment/httpbin -n shop --denied -o json | tail -1 | kubectl sallyport explain deployment/httpbin -n shop --log -',
    ],
    test: ['sallyport test policies/ --min-coverage 100', 'sallyport test policies/ -o junit > report.xml'],
    diff: [
      'sallyport diff main/policies/ policies/',
      'sallyport diff main/policies/ policies/ --fail-on widened -o yaml',
      'kubectl sallyport diff --live policies/ -n shop --fail-on widened',
      'sallyport diff policies.old/ policies/ --requests yesterday.har',
      'sallyport diff main.json branch.json --generate 10000 --seed 7 -o json | jq .groups',
    ],
    prove: [
      'sallyport prove policies/ --invariants invariants.yaml',
      'sallyport prove policies/ --invariants invariants.yaml -o sarif > invariants.sarif',
    ],
    status: ['kubectl sallyport status -n shop', 'kubectl sallyport status -A --fail-on-problems -o json | jq .workloads'],
    'bundle show': [
      'kubectl sallyport bundle httpbin-6b8c9f-x2x7p -n shop',
      'kubectl sallyport bundle deployment/httpbin -n shop -o json | jq .bundle.programs',
    ],
    'bundle verify': ['kubectl get configmap -n foo -o yaml | sallyport bundle verify --trust-anchor anchor.json -'],
    logs: [
      'kubectl sallyport logs deployment/httpbin -n shop --denied',
      'kubectl sallyport logs httpbin-6b8c9f-x2x7p -n shop --follow',
      'kubectl sallyport logs deployment/httpbin -n shop --since 1h -o json | sallyport diff old/ new/ --requests -',
    ],
    'bug-report': ['kubectl sallyport bug-report -A', 'kubectl sallyport bug-report -n shop --log-lines 500 -f report.tar.gz'],
    'keys show': ['sallyport keys show', 'sallyport keys show --anchor > anchor.json'],
    'keys rotate': ['sallyport keys rotate', 'sallyport keys rotate --root'],
    'keys restore': [
      'kubectl get secret -n sallyport-system sallyport-signing-keys -o yaml > backup.yaml',
      'sallyport keys restore backup.yaml',
    ],
    'keys reset': ['sallyport keys reset --yes && kubectl rollout restart deployment -n shop'],
    controller: ['sallyport controller --config /etc/sallyport/config.yaml'],
    agent: ['sallyport agent --bundle-dir /etc/sallyport/bundle'],
    version: ['sallyport version', 'kubectl sallyport version -o json'],
    inject: [
      'sallyport keys show --anchor > anchor.json',
      'sallyport inject --trust-anchor anchor.json -f deployment.yaml | kubectl apply -f -',
    ],
    completion: [
      'source <(sallyport completion bash)',
      'sallyport completion powershell | Out-String | Invoke-Expression',
      'sallyport completion kubectl > ~/.local/bin/kubectl_complete-sallyport && chmod +x ~/.local/bin/kubectl_complete-sallyport',
    ],
  }),
);

/** Lines of a shell. @param path the words that name the command, e.g. `keys show` @returns empty for a command that has subcommands only */
export function exampleLines(path: string): readonly string[] {
  return EXAMPLES.get(path) ?? [];
}
