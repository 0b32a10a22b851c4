//! From a container of a pod to the variables and files of a process: what a kubelet does with names, addresses and mounts.

use anyhow::{Context, bail};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVar, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection,
};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Deepest nesting of `$(NAME)`; a variable refers only to those before it.
const MAX_NAME: usize = 64;

/// A folder for each mount of a pod, by the path in the container.
pub type Mounts = BTreeMap<String, PathBuf>;

/// The variables of the pod's container, as the process on this machine must have them.
///
/// # Errors
/// A Secret or ConfigMap that it refers to is missing.
pub async fn variables(
    client: &Client,
    pod: &Pod,
    ip: Ipv4Addr,
    mounts: &Mounts,
    address_of: impl Fn(&str) -> Option<Ipv4Addr>,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut plain: Vec<(String, String)> = Vec::new();
    for variable in container(pod)?.env.iter().flatten() {
        let value = resolve(client, pod, variable, &plain).await?;
        plain.push((variable.name.clone(), value));
    }
    let port = |value: &str| value.rsplit_once(':').map(|(_, port)| port.to_owned());
    let mut rewritten = Vec::new();
    for (name, value) in plain {
        let value = match name.as_str() {
            // In a pod every address is the pod's own; here they share a machine.
            "LISTEN" | "GATEWAY" => format!("{ip}:{}", port(&value).context("an address without a port")?),
            "PEERS" | "JOIN" => peers(&value, &address_of),
            _ => mounted(&value, mounts),
        };
        rewritten.push((name, value));
    }
    let health = container(pod)?.ports.iter().flatten().find(|port| port.name.as_deref() == Some("health"));
    rewritten.extend(health.map(|port| ("HEALTH_ADDRESS".to_owned(), format!("{ip}:{}", port.container_port))));
    let listen = rewritten.iter().find(|(name, _)| name == "LISTEN").map(|(_, value)| value.clone());
    rewritten.extend(listen.map(|listen| ("ADVERTISE".to_owned(), listen)));
    Ok(rewritten)
}

/// Writes the files of the pod's projected Secrets, and the token of its service account, into `folder`; whole files only, as a
/// kubelet does.
///
/// # Errors
/// A Secret is missing, the server gives no token, or the folder cannot be written.
pub async fn project(client: &Client, pod: &Pod, volume: &str, folder: &Path) -> anyhow::Result<()> {
    let namespace = pod.namespace().context("a pod has a namespace")?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let found = volumes.filter(|it| it.name == volume).find_map(|it| it.projected.as_ref()?.sources.clone());
    std::fs::create_dir_all(folder)?;
    for source in found.into_iter().flatten() {
        if let Some(token) = &source.service_account_token {
            account_token(client, pod, token, &folder.join(&token.path)).await?;
        }
        let Some(source) = source.secret else { continue };
        let data = secrets.get(&source.name).await?.data.unwrap_or_default();
        for item in source.items.into_iter().flatten() {
            let bytes = data.get(&item.key).with_context(|| format!("Secret {} lacks {}", source.name, item.key))?;
            write(&folder.join(&item.path), &bytes.0)?;
        }
    }
    Ok(())
}

/// A token of exactly the pod's service account, bound to the pod: with the pod it ends.
async fn account_token(
    client: &Client,
    pod: &Pod,
    asked: &ServiceAccountTokenProjection,
    file: &Path,
) -> anyhow::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).context("an account")?;
    let bound = json!({ "apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "uid": pod.metadata.uid });
    let spec = json!({
        "audiences": asked.audience.iter().collect::<Vec<_>>(),
        "expirationSeconds": asked.expiration_seconds, "boundObjectRef": bound,
    });
    let request: TokenRequest = serde_json::from_value(json!({ "metadata": {}, "spec": spec }))?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let answer = accounts.create_token_request(&account, &PostParams::default(), &request).await?;
    write(file, answer.status.context("an answer with a token")?.token.as_bytes())
}

/// The pod's only container.
///
/// # Errors
/// It has none.
pub fn container(pod: &Pod) -> anyhow::Result<&Container> {
    pod.spec.as_ref().and_then(|spec| spec.containers.first()).context("a pod has a container")
}

async fn resolve(client: &Client, pod: &Pod, variable: &EnvVar, before: &[(String, String)]) -> anyhow::Result<String> {
    let namespace = pod.namespace().context("a pod has a namespace")?;
    let Some(source) = &variable.value_from else {
        return Ok(expand(variable.value.as_deref().unwrap_or_default(), before));
    };
    if let Some(field) = &source.field_ref {
        return match field.field_path.as_str() {
            "metadata.name" => Ok(pod.name_any()),
            "metadata.namespace" => Ok(namespace),
            path => match path.strip_prefix("metadata.labels['").and_then(|rest| rest.strip_suffix("']")) {
                Some(label) => Ok(pod.labels().get(label).cloned().unwrap_or_default()),
                None => bail!("the played kubelet does not know the field {path}"),
            },
        };
    }
    if let Some(key) = &source.secret_key_ref {
        let secret = Api::<Secret>::namespaced(client.clone(), &namespace).get(&key.name).await?;
        let bytes = secret.data.unwrap_or_default().remove(&key.key).context("the Secret lacks the key")?;
        return Ok(String::from_utf8(bytes.0)?);
    }
    let key = source.config_map_key_ref.as_ref().context("a variable from somewhere else")?;
    let settings = Api::<ConfigMap>::namespaced(client.clone(), &namespace).get(&key.name).await?;
    settings.data.unwrap_or_default().remove(&key.key).context("the ConfigMap lacks the key")
}

/// `$(NAME)` stands for the variable of that name before it.
fn expand(value: &str, before: &[(String, String)]) -> String {
    before
        .iter()
        .filter(|(name, _)| name.len() <= MAX_NAME)
        .fold(value.to_owned(), |value, (name, known)| value.replace(&format!("$({name})"), known))
}

/// A path in the container becomes the path of its mount.
fn mounted(value: &str, mounts: &Mounts) -> String {
    let mount = mounts.iter().find(|(path, _)| value == *path || value.starts_with(&format!("{path}/")));
    match mount {
        Some((path, folder)) => format!("{}{}", folder.display(), &value[path.len()..]),
        None => value.to_owned(),
    }
}

/// `host:port,...` becomes `host=address:port,...`: what a resolver would have found.
fn peers(list: &str, address_of: impl Fn(&str) -> Option<Ipv4Addr>) -> String {
    let known = list.split(',').filter_map(|peer| {
        let (host, port) = peer.rsplit_once(':')?;
        Some(format!("{host}={}:{port}", address_of(host)?))
    });
    known.collect::<Vec<_>>().join(",")
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if std::fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o400))?;
    Ok(std::fs::rename(&beside, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kubelet_does_is_done_by_rewriting() {
        let before = [("POD_NAME".to_owned(), "main-0".to_owned())];
        assert_eq!(expand("$(POD_NAME).main-peers.web.svc", &before), "main-0.main-peers.web.svc");
        let mounts = Mounts::from([("/etc/keys".to_owned(), PathBuf::from("x/keys"))]);
        assert_eq!(mounted("/etc/keys/ca.crt", &mounts), "x/keys/ca.crt");
        assert_eq!(mounted("/etc/keysx", &mounts), "/etc/keysx");
        let address = |host: &str| (host == "a.b").then_some(Ipv4Addr::LOCALHOST);
        assert_eq!(peers("a.b:7443,c.d:7443", address), "a.b=127.0.0.1:7443");
    }
}
