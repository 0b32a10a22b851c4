//! The operator's rights in a test: a token of a service account with exactly those that the chart grants, read from the chart itself.

use anyhow::{Context, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::api::PostParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;

/// The service account that has these rights and no others.
const ACCOUNT: &str = "scrapering-operator";
/// How long its token lives, seconds; longer than any test.
const TOKEN_LIFE_S: i64 = 12 * 3600;

/// Makes a service account in `namespace` with the rights that the chart in this folder grants; a token of it.
///
/// # Errors
/// The chart does not read as expected, or the server refuses a role.
pub async fn grant(client: &Client, namespace: &str, chart: &Path) -> anyhow::Result<String> {
    let everywhere =
        rules(&chart.join("templates/_helpers.tpl"), "{{- define \"scrapering.rules\" -}}\n", "{{- end }}")?;
    let own = rules(&chart.join("templates/role-leases.yaml"), "\nrules:\n", "\n---\n")?;
    let named = json!({ "name": ACCOUNT });
    let subjects = json!([{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace }]);
    let role = |kind: &str| json!({ "kind": kind, "name": ACCOUNT, "apiGroup": "rbac.authorization.k8s.io" });
    create::<ClusterRole>(Api::all(client.clone()), json!({ "metadata": named, "rules": everywhere })).await?;
    let binding = json!({ "metadata": named, "roleRef": role("ClusterRole"), "subjects": subjects });
    create::<ClusterRoleBinding>(Api::all(client.clone()), binding).await?;
    create::<Role>(Api::namespaced(client.clone(), namespace), json!({ "metadata": named, "rules": own })).await?;
    let binding = json!({ "metadata": named, "roleRef": role("Role"), "subjects": subjects });
    create::<RoleBinding>(Api::namespaced(client.clone(), namespace), binding).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    create(accounts, json!({ "metadata": named })).await?;
    token(client, namespace).await
}

/// Another token of that service account.
///
/// # Errors
/// The server gives none.
pub async fn token(client: &Client, namespace: &str) -> anyhow::Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_LIFE_S), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await?;
    answer.status.map(|status| status.token).context("an answer with a token")
}

async fn create<K>(api: Api<K>, object: Value) -> anyhow::Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// The list of rules between two marks of a file; what the chart's functions would make cannot be read here.
fn rules(path: &Path, begin: &str, end: &str) -> anyhow::Result<Vec<PolicyRule>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let list = text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map(|(list, _)| list);
    let list = list.with_context(|| format!("{} has no list of rules", path.display()))?;
    ensure!(!list.contains("{{"), "rules in {} are made by the chart's functions", path.display());
    Ok(serde_saphyr::from_str(list)?)
}
