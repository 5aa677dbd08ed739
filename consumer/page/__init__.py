"""The page: what all pods know of themselves, as one view for a person; a page, a stream and tables.

Pods' reports come in as plain values. It knows none of the service's parts, and changes nothing.
"""
