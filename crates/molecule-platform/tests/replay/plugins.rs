//! The plugins in the registry of the recorded servers, as far as the recorded answers show them.

use molecule_platform::PluginTree;

/// The folders in the registry's list, with the content that the recorded archives show.
pub(crate) fn of_the_recorder() -> Vec<PluginTree> {
    let described = |name: &str| manifest(name, "test plugin");
    vec![
        // It is listed, but its download is refused because of its name.
        PluginTree::new("UPPER").file("plugin.yaml", described("UPPER")),
        PluginTree::new("badmf")
            .file("plugin.yaml", "name: badmf\ndescription: no version here\nruntimes: [klingon]\n"),
        PluginTree::new("badsha")
            .file("plugin.yaml", described("badsha"))
            .file("manifest.json", format!("{{\"sha256\":\"{}\"}}", "0".repeat(64))),
        PluginTree::new("badyaml").file("plugin.yaml", "name: [unclosed\n  : x\n"),
        PluginTree::new("bare").file("readme.md", "no manifest\n"),
        PluginTree::new("demo")
            .file("plugin.yaml", manifest("demo", "d"))
            .executable("setup.sh", "#!/bin/bash\n")
            .file("skills/hello/SKILL.md", "hello\n"),
        // April's server cannot fetch it, because one of its links points to a folder.
        PluginTree::new("kitchen")
            .file(".git/HEAD", "ref: refs/heads/main\n")
            .file("plugin.yaml", described("kitchen"))
            .file("rules/hi.md", "hi\n")
            .link("link-to-file", "rules/hi.md")
            .link("link-to-folder", "rules"),
        PluginTree::new("named").file("plugin.yaml", described("other-name")),
        PluginTree::new("symdir").file("plugin.yaml", described("symdir")).link("folder", "."),
    ]
}

fn manifest(name: &str, description: &str) -> String {
    format!(
        "name: {name}\nversion: 1.0.0\ndescription: {description}\nauthor: me\ntags: [a]\nskills: [hello]\n\
         runtimes: [claude_code, external]\n"
    )
}
