"""Files that students hand in: found in folders and zip files, read in any encoding, and run as modules.

reading      bytes to Python text: encodings, line endings, notebooks
executing    text to a module, also where a statement of it fails or a module of the course is not here
stubs        what stands in for such modules
submissions  which files there are, and whose
"""
