//! `scrapering-cut-points`, run at the top of the tree: the table of every write after which the operator was stopped, and how the operation ended.

use std::path::Path;

use scrapering_e2e::kube::{ASSETS, assets, cuts};

#[tokio::main]
#[allow(clippy::print_stdout, reason = "a tool for the command line")]
async fn main() -> anyhow::Result<()> {
    let Some(assets) = assets()? else {
        anyhow::bail!("{ASSETS} is unset: point it at a folder with etcd, kube-apiserver and kube-controller-manager")
    };
    let folder = std::env::temp_dir().join(format!("scrapering-cut-points-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    println!("operation  cut         the write");
    let lines = cuts::run(&assets, &folder, Path::new("helm"), |line| println!("{line}")).await;
    match &lines {
        Ok(lines) => println!("{lines} cuts, and every operation ended right"),
        Err(_) => println!("logs are in {}", folder.display()),
    }
    lines?;
    Ok(std::fs::remove_dir_all(&folder)?)
}
