"""The lab of the second plan: three clusters, 3scale's stand-in with its operators, and its data stores."""
