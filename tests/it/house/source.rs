//! Parses the modules of the package and finds the imports between them. Code under `cfg(test)` is
//! ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemImpl, ItemMod, ItemUse, Type, UseTree, Visibility};

/// The path of a module or an item, without `crate`.
pub type Name = Vec<String>;

/// One source file.
pub struct Module {
    /// The path of the file, relative to `src`.
    pub file: PathBuf,
    /// The names that the file imports or re-exports, with the paths that they refer to.
    names: BTreeMap<String, Name>,
    /// The paths that the code of the file uses, without re-exports.
    used: BTreeSet<Name>,
    /// The types that the file defines.
    types: BTreeSet<String>,
    /// The types for which the file has inherent `impl` blocks.
    impls: BTreeSet<Name>,
}

/// All modules by their paths.
pub struct Source(pub BTreeMap<Name, Module>);

impl Source {
    pub fn read() -> Self {
        let mut modules = BTreeMap::new();
        read(&root(), &root().join("lib.rs"), Vec::new(), &mut modules);
        assert!(modules.len() > 100, "the sources are not where this test expects them");
        Self(modules)
    }

    /// Returns the module that defines the item `path`. Follows re-exports.
    pub fn definition<'a>(&'a self, path: &[String]) -> Option<(&'a Name, Name)> {
        let mut path = path.to_vec();
        for _ in 0..10 {
            let length = (0..=path.len()).rev().find(|n| self.0.contains_key(&path[..*n]))?;
            let (name, module) = self.0.get_key_value(&path[..length])?;
            let rest = path[length..].to_vec();
            match rest.first().and_then(|first| module.names.get(first)) {
                Some(target) if target[..] != path[..=length] => {
                    path = target.iter().chain(&rest[1..]).cloned().collect();
                }
                _ => return Some((name, rest)),
            }
        }
        None
    }

    /// Returns the modules that each module imports from.
    pub fn imports(&self) -> BTreeMap<&Name, BTreeSet<&Name>> {
        let used = |name, module: &Module| -> BTreeSet<&Name> {
            let found = module.used.iter().filter_map(|path| Some(self.definition(path)?.0));
            found.filter(|found| *found != name).collect()
        };
        self.0.iter().map(|(name, module)| (name, used(name, module))).collect()
    }

    /// Returns the `impl` blocks that are neither in the file of their type nor below its folder.
    pub fn misplaced_impls(&self) -> Vec<String> {
        let mut misplaced = Vec::new();
        for (name, module) in &self.0 {
            for ty in &module.impls {
                let defined = self.definition(ty).map(|(defined, _)| defined);
                let is_here = ty.last().is_some_and(|ty| module.types.contains(ty));
                let is_above = |defined: &Name| defined != name && name.starts_with(defined);
                if !is_here && !defined.is_some_and(is_above) {
                    misplaced.push(format!("{}: impl {}", module.file.display(), ty.join("::")));
                }
            }
        }
        misplaced
    }
}

/// Returns the `src` folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(folder: &Path, file: &Path, name: Name, modules: &mut BTreeMap<Name, Module>) {
    let text = fs::read_to_string(file).unwrap();
    let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut reader = Reader { name, children: BTreeSet::new(), module: Module::new(file) };
    reader.find_children(&parsed.items);
    reader.visit_file(&parsed);
    for child in &reader.children {
        let beside = folder.join(format!("{child}.rs"));
        let below = folder.join(child).join("mod.rs");
        let file = if beside.exists() { beside } else { below };
        let name = reader.name.iter().chain([child]).cloned().collect();
        read(&folder.join(child), &file, name, modules);
    }
    modules.insert(reader.name, reader.module);
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is_cfg_test = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    };
    attributes.iter().any(is_cfg_test)
}

impl Module {
    fn new(file: &Path) -> Self {
        Self {
            file: file.strip_prefix(root()).unwrap().to_owned(),
            names: BTreeMap::new(),
            used: BTreeSet::new(),
            types: BTreeSet::new(),
            impls: BTreeSet::new(),
        }
    }
}

fn path_names(path: &syn::Path) -> Name {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// Collects the declarations and the used paths of one file.
struct Reader {
    name: Name,
    children: BTreeSet<String>,
    module: Module,
}

impl Reader {
    fn find_children(&mut self, items: &[Item]) {
        for item in items {
            let Item::Mod(module) = item else { continue };
            match &module.content {
                _ if is_test(&module.attrs) => {}
                // The inline module in lib.rs with all modules that the helper does not need.
                Some((_, items)) => self.find_children(items),
                None => {
                    self.children.insert(module.ident.to_string());
                }
            }
        }
    }

    /// Returns the path from the root of the crate. `None` if the path belongs to another crate.
    fn absolute(&self, path: &[String]) -> Option<Name> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let base = match path.first()?.as_str() {
            "crate" => &[],
            "self" => &self.name[..],
            "super" => &self.name[..self.name.len() - supers],
            child if self.children.contains(child) => {
                return Some(self.name.iter().chain(path).cloned().collect());
            }
            _ => return None,
        };
        Some(base.iter().chain(&path[supers.max(1)..]).cloned().collect())
    }

    fn add(&mut self, path: &[String]) {
        if let Some(path) = self.absolute(path) {
            self.module.used.insert(path);
        }
    }

    fn add_use(&mut self, tree: &UseTree, path: &mut Name, is_public: bool) {
        let (leaf, alias) = match tree {
            UseTree::Path(next) => {
                path.push(next.ident.to_string());
                self.add_use(&next.tree, path, is_public);
                path.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, path, is_public);
                }
                return;
            }
            UseTree::Name(name) => (Some(name.ident.to_string()), None),
            UseTree::Rename(rename) => {
                (Some(rename.ident.to_string()), Some(rename.rename.to_string()))
            }
            UseTree::Glob(_) => (None, None),
        };
        let whole: Name = path.iter().cloned().chain(leaf.filter(|leaf| leaf != "self")).collect();
        let Some(target) = self.absolute(&whole) else { return };
        if !is_public {
            self.module.used.insert(target.clone());
        }
        if let Some(name) = alias.or_else(|| target.last().cloned()) {
            self.module.names.insert(name, target);
        }
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path = Name::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => path.push(ident.to_string()),
                TokenTree::Punct(colon) if colon.as_char() == ':' => {}
                other => {
                    if let TokenTree::Group(group) = &other {
                        self.add_tokens(group.stream());
                    }
                    self.add(&std::mem::take(&mut path));
                }
            }
        }
        self.add(&path);
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a Item) {
        if let Item::Struct(syn::ItemStruct { ident, .. })
        | Item::Enum(syn::ItemEnum { ident, .. }) = item
        {
            self.module.types.insert(ident.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        if !is_test(&item.attrs) {
            let is_public = !matches!(item.vis, Visibility::Inherited);
            self.add_use(&item.tree, &mut Name::new(), is_public);
        }
    }

    fn visit_item_impl(&mut self, item: &'a ItemImpl) {
        if let (None, Type::Path(ty)) = (&item.trait_, &*item.self_ty) {
            let path = path_names(&ty.path);
            let here = || self.name.iter().chain(&path).cloned().collect();
            self.module.impls.insert(self.absolute(&path).unwrap_or_else(here));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names = path_names(path);
        if names.len() > 1 {
            self.add(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'a Visibility) {}

    fn visit_macro(&mut self, item: &'a syn::Macro) {
        self.add_tokens(item.tokens.clone());
    }
}
