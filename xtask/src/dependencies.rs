//! What is built from others' work: under which licences, in how many versions, and for what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use spdx::{Expression, ParseMode};

use crate::workspace::Workspace;

/// Licences that a package may come under.
const LICENCES: [&str; 10] = [
    "Apache-2.0",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    // Of files: what is changed in them is shared. Nothing is.
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Packages that are in the program in two versions, and who wants the older one.
const TWICE: [(&str, &str); 4] =
    [("bitflags", "lsp-types"), ("getrandom", "ring"), ("hashbrown", "dashmap"), ("syn", "tower-lsp-macros")];
/// The page whose table names each direct dependency with its purpose.
const PAGE: &str = "docs/dev/dependencies.md";

/// The packages that cargo has resolved for this platform.
struct Packages(Value);

/// A package: its name and its version.
type Package = (String, String);

/// Compares the packages with what may be; an error lists every one that may not.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let packages = Packages::resolved(workspace)?;
    let mut problems = packages.licences()?;
    problems.extend(packages.twice());
    problems.extend(packages.without_purpose(workspace)?);
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{}", problems.join("; "))
}

impl Packages {
    fn resolved(workspace: &Workspace) -> Result<Self> {
        let version = workspace.rustc(&["-vV"]).output().context("cannot start rustc")?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
        let arguments = ["metadata", "--format-version=1", "--locked", "--filter-platform", host];
        let output = workspace.cargo(&arguments).output().context("cannot start cargo")?;
        if !output.status.success() {
            bail!("`cargo metadata --locked` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self(serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?))
    }

    fn all(&self) -> impl Iterator<Item = &Value> {
        self.0["packages"].as_array().into_iter().flatten()
    }

    /// Packages whose licence isn't one of those that may be.
    fn licences(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for package in self.all() {
            let (name, _) = identity(package);
            let licence = package["license"].as_str().with_context(|| format!("{name} names no licence"))?;
            let expression = Expression::parse_mode(licence, ParseMode::LAX)
                .with_context(|| format!("the licence of {name} isn't one: {licence}"))?;
            let may_be = |licence: &spdx::LicenseReq| {
                licence.license.id().is_some_and(|id| LICENCES.contains(&id.name)) && licence.addition.is_none()
            };
            if !expression.evaluate(may_be) {
                problems.push(format!("{name} comes under {licence}"));
            }
        }
        Ok(problems)
    }

    /// Packages that are in the program in several versions without being known to be.
    fn twice(&self) -> Vec<String> {
        let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, version) in self.of_the_program() {
            versions.entry(name).or_default().insert(version);
        }
        versions.retain(|_, versions| versions.len() > 1);
        let once = TWICE.iter().filter(|(name, _)| !versions.contains_key(*name));
        let mut problems: Vec<_> = once.map(|(name, _)| format!("{name} isn't there twice any more")).collect();
        versions.retain(|name, _| !TWICE.iter().any(|(known, _)| known == name));
        problems.extend(versions.iter().map(|(name, versions)| format!("{name} is there in versions {versions:?}")));
        problems
    }

    /// Everything that `syncline` is built from; what only tests need isn't.
    fn of_the_program(&self) -> BTreeSet<Package> {
        let nodes: BTreeMap<_, _> = self.0["resolve"]["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|node| Some((node["id"].as_str()?, node)))
            .collect();
        let packages: BTreeMap<_, _> =
            self.all().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
        let mut next: Vec<_> =
            packages.iter().filter(|(_, package)| package["name"] == "syncline").map(|(id, _)| *id).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            let dependencies = nodes.get(id).and_then(|node| node["deps"].as_array()).into_iter().flatten();
            let is_built = |dependency: &&Value| {
                dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
            };
            next.extend(dependencies.filter(is_built).filter_map(|dependency| dependency["pkg"].as_str()));
        }
        seen.iter().filter_map(|id| packages.get(id)).map(|package| identity(package)).collect()
    }

    /// Direct dependencies that the page doesn't name with a purpose, and names there that are none.
    fn without_purpose(&self, workspace: &Workspace) -> Result<Vec<String>> {
        let page = fs::read_to_string(workspace.root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
        // The first cell of each row names packages: `one`, `another`.
        let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let named: BTreeSet<_> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        let members = self.all().filter(|package| package["source"].is_null());
        let wanted = members.flat_map(|package| package["dependencies"].as_array().into_iter().flatten());
        let wanted: BTreeSet<_> = wanted.filter_map(|dependency| dependency["name"].as_str()).collect();
        let missing = wanted.difference(&named).map(|name| format!("{PAGE} doesn't say what {name} is for"));
        let extra = named.difference(&wanted).map(|name| format!("{PAGE} names {name}, which isn't used"));
        Ok(missing.chain(extra).collect())
    }
}

fn identity(package: &Value) -> Package {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    (text("name"), text("version"))
}
