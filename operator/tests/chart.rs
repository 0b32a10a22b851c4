//! The chart as helm renders it: what its pods may do, what the operator is allowed to, and what the values refuse.
//!
//! `make lint` and `make test` get helm first (`scripts/chart.sh tools`); where it cannot be had, these tests say that
//! nothing was tested.
#![allow(clippy::print_stderr, reason = "a test that tests nothing must say so")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails like the test itself")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// Everything that the operator may do, as `group/resource verb`.
const ALLOWED: &str = "
    /configmaps create,get,list,patch,watch
    /persistentvolumeclaims delete,list,patch
    /pods delete,list
    /secrets create,get,patch
    /serviceaccounts create,get,list,patch,watch
    /services create,get,list,patch,watch
    apps/statefulsets create,delete,get,list,patch,watch
    cert-manager.io/certificates create,delete,get,list,patch,watch
    events.k8s.io/events create,patch
    gateway.networking.k8s.io/backendtlspolicies create,delete,get,list,patch,watch
    gateway.networking.k8s.io/httproutes create,delete,get,list,patch,watch
    monitoring.coreos.com/servicemonitors create,delete,get,list,patch,watch
    networking.k8s.io/ingresses create,delete,get,list,patch,watch
    networking.k8s.io/networkpolicies create,delete,get,list,patch,watch
    policy/poddisruptionbudgets create,get,list,patch,watch
    scrapering.io/scrapejobs create,delete,get,list,patch,watch
    scrapering.io/scrapejobs/status patch
    scrapering.io/scraperings get,list,watch
    scrapering.io/scraperings/finalizers update
    scrapering.io/scraperings/status patch
    scrapering.io/scrapeschedules get,list,watch
    scrapering.io/scrapeschedules/finalizers update
    scrapering.io/scrapeschedules/status patch
";

fn chart() -> PathBuf {
    PathBuf::from("../helm")
}

/// The helm that is named by the variable, was got by `scripts/chart.sh`, or is on the PATH.
fn helm() -> Option<PathBuf> {
    let told = Command::new("../scripts/chart.sh").arg("helm").output().ok().filter(|told| told.status.success());
    let found = told.and_then(|told| Some(PathBuf::from(String::from_utf8(told.stdout).ok()?.trim())));
    if found.is_none() {
        eprintln!("*** SKIPPED: there is no helm, so the chart was not tested; see scripts/chart.sh ***");
    }
    found
}

fn template(helm: &Path, arguments: &[&str]) -> Output {
    let command = ["template", "release", "--namespace", "operators"];
    Command::new(helm).args(command).arg(chart()).args(arguments).output().unwrap()
}

/// Every object that a set of values in `helm/ci` becomes; the chart's defaults for an empty name.
fn rendered(helm: &Path, values: &str) -> Vec<Value> {
    let file = chart().join(format!("ci/{values}-values.yaml"));
    let file = file.to_str().unwrap();
    let output = if values.is_empty() { template(helm, &[]) } else { template(helm, &["--values", file]) };
    assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let objects: Vec<Value> = objects.into_iter().filter(Value::is_object).collect();
    assert!(objects.len() >= 3, "{values}: {objects:?}");
    objects
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

const VALUES: [&str; 5] = ["", "minimal", "namespaced", "ha", "everything"];

#[test]
fn every_pod_meets_the_restricted_standard_and_names_its_image() {
    let Some(helm) = helm() else { return };
    for values in VALUES {
        let objects = rendered(&helm, values);
        let deployments = of_kind(&objects, "Deployment").into_iter().map(|object| &object["spec"]["template"]["spec"]);
        let pods = of_kind(&objects, "Pod").into_iter().map(|object| &object["spec"]);
        for pod in deployments.chain(pods) {
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            assert!(["hostNetwork", "hostPID", "hostIPC", "volumes"].iter().all(|field| pod[field].is_null()), "{pod}");
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(
                    (&context["allowPrivilegeEscalation"], &context["readOnlyRootFilesystem"]),
                    (&json!(false), &json!(true))
                );
                assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }));
                let image = container["image"].as_str().unwrap();
                assert!(image.contains(['@', ':']) && !image.ends_with(":latest") && !image.ends_with(':'), "{image}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
            }
        }
    }
}

/// `group/resource verb` of each rule of a role.
fn permissions(role: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    for rule in role["rules"].as_array().unwrap() {
        assert!(rule["nonResourceURLs"].is_null(), "{rule}");
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                found.extend(texts(&rule["verbs"]).iter().map(|verb| format!("{group}/{resource} {verb}")));
            }
        }
    }
    found
}

fn allowed() -> BTreeSet<String> {
    let lines = ALLOWED.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .flat_map(|line| {
            let (resource, verbs) = line.split_once(' ').unwrap();
            verbs.split(',').map(move |verb| format!("{resource} {verb}"))
        })
        .collect()
}

#[test]
fn the_operator_may_do_exactly_what_is_listed_here() {
    let Some(helm) = helm() else { return };
    let everywhere = rendered(&helm, "");
    let role =
        of_kind(&everywhere, "ClusterRole").into_iter().find(|role| role["metadata"]["name"] == "release-scrapering");
    assert_eq!(permissions(role.unwrap()), allowed());
    let here = rendered(&helm, "namespaced");
    assert_eq!(of_kind(&here, "ClusterRole").len() + of_kind(&here, "ClusterRoleBinding").len(), 0);
    let roles = of_kind(&here, "Role");
    let of_rings: Vec<_> = roles.iter().filter(|role| role["metadata"]["name"] == "release-scrapering").collect();
    assert_eq!(of_rings.iter().map(|role| &role["metadata"]["namespace"]).collect::<Vec<_>>(), ["crawl", "search"]);
    assert!(of_rings.iter().all(|role| permissions(role) == allowed()));
}

#[test]
fn no_role_has_a_wildcard_reads_all_secrets_or_grants_itself_more() {
    let Some(helm) = helm() else { return };
    for values in VALUES {
        let objects = rendered(&helm, values);
        for role in of_kind(&objects, "ClusterRole").into_iter().chain(of_kind(&objects, "Role")) {
            for permission in permissions(role) {
                let forbidden = ["*", "/secrets list", "/secrets watch", "exec", "escalate", "bind", "impersonate"];
                assert!(!forbidden.iter().any(|word| permission.contains(word)), "{permission}");
            }
        }
    }
}

#[test]
fn definitions_come_with_the_chart_stay_behind_it_and_can_be_left_out() {
    let Some(helm) = helm() else { return };
    let names = |objects: &[Value]| of_kind(objects, "CustomResourceDefinition").len();
    let usual = rendered(&helm, "");
    assert_eq!((names(&usual), names(&rendered(&helm, "minimal"))), (3, 0));
    for definition in of_kind(&usual, "CustomResourceDefinition") {
        assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
    let plain = std::fs::read_to_string(chart().join("../crds/yaml/scrapejobs.yaml")).unwrap();
    let plain: Value = serde_saphyr::from_str(&plain).unwrap();
    let job =
        of_kind(&usual, "CustomResourceDefinition").into_iter().find(|it| it["spec"]["names"]["kind"] == "ScrapeJob");
    assert_eq!(job.unwrap()["spec"], plain["spec"], "helm changed the definition on its way");
}

#[test]
fn values_that_are_misspelt_or_of_the_wrong_kind_are_refused() {
    let Some(helm) = helm() else { return };
    for wrong in [
        "replica=2",
        "replicas=0",
        "image.tags=x",
        "metrics.serviceMonitor.enable=true",
        "watchNamespaces[0]=Upper",
        "log.format=xml",
        "ring.name=Main",
    ] {
        let output = template(&helm, &["--set", wrong]);
        assert!(!output.status.success(), "{wrong} is accepted");
    }
}

#[test]
fn what_is_optional_comes_when_it_is_asked_for() {
    let Some(helm) = helm() else { return };
    let kinds = |objects: &[Value]| -> BTreeSet<String> {
        objects.iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect()
    };
    let optional = ["ServiceMonitor", "PrometheusRule", "ScrapeRing"];
    let (usual, everything) = (kinds(&rendered(&helm, "")), kinds(&rendered(&helm, "everything")));
    assert!(
        optional.iter().all(|kind| everything.contains(*kind) && !usual.contains(*kind)),
        "{usual:?} {everything:?}"
    );
    let objects = rendered(&helm, "everything");
    let dashboard = of_kind(&objects, "ConfigMap")[0]["data"]["scrapering.json"].as_str().unwrap().to_owned();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() >= 4);
    let minimal = kinds(&rendered(&helm, "minimal"));
    assert!(
        ["PodDisruptionBudget", "NetworkPolicy", "Service"].iter().all(|kind| !minimal.contains(*kind)),
        "{minimal:?}"
    );
}
