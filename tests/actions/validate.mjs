// Checks workflow files with GitHub's own language service: any finding is one too many.
import fs from "fs";
import path from "path";
import { validate } from "@actions/languageservice";
import { TextDocument } from "vscode-languageserver-textdocument";

const root = path.resolve(process.argv[2]);
const inputs = {
  checkout: ["repository", "ref", "token", "persist-credentials", "path", "fetch-depth"],
  "upload-artifact": ["name", "path", "if-no-files-found", "retention-days", "overwrite"],
  "download-artifact": ["name", "path", "pattern", "merge-multiple"],
  "attest-build-provenance": ["subject-path", "subject-checksums"],
};
const described = (names) => Object.fromEntries(names.map((name) => [name, { description: "" }]));
const metadata = async (action) => {
  const known = action.owner === "actions" ? inputs[action.name] : undefined;
  return known && { name: action.name, description: "", inputs: described(known), outputs: {} };
};
const content = async (reference) => {
  const name = (reference.path ?? reference).replace(/^(\$|\.)\//, "");
  return { name, content: fs.readFileSync(path.join(root, name), "utf8") };
};

let findings = 0;
for (const file of process.argv.slice(3)) {
  const text = fs.readFileSync(file, "utf8");
  const document = TextDocument.create("file://" + path.resolve(file), "yaml", 1, text);
  const said = await validate(document, {
    fileProvider: { getFileContent: content },
    actionsMetadataProvider: { fetchActionMetadata: metadata },
  });
  for (const one of said) {
    findings += 1;
    console.log(`${file}:${one.range.start.line + 1}:${one.range.start.character + 1}: ${one.message}`);
  }
}
console.log(`${process.argv.length - 3} files, ${findings} findings`);
process.exit(findings ? 1 : 0);
