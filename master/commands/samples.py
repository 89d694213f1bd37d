"""The manifests that `pointsman demo` starts from where no source tree is at hand.

A copy of etc/samples/whoami.yaml, which a test holds equal, because an installed package has no etc/.
"""

from __future__ import annotations

from typing import Final

FILE_NAME: Final = "whoami.yaml"
BACKENDS: Final = (("127.0.0.1", 9101), ("127.0.0.2", 9102))
WHOAMI: Final = """\
# What `pointsman demo` serves. Edit and save: the change is live within a blink, and the demo prints it.
#
#   curl -H 'Host: whoami.localhost' http://127.0.0.1:8000/
#
# The same objects work in a cluster, where Kubernetes writes the EndpointSlices itself.
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata:
  name: whoami
spec:
  entryPoints:
    - web
  routes:
    - kind: Rule
      match: Host(`whoami.localhost`)
      services:
        - name: whoami
          port: 80

# A second route: remove the first character of each line below, save, then
#
#   curl http://127.0.0.1:8000/hello
#
#---
#apiVersion: traefik.io/v1alpha1
#kind: IngressRoute
#metadata:
#  name: hello
#spec:
#  entryPoints:
#    - web
#  routes:
#    - kind: Rule
#      match: PathPrefix(`/hello`) && Method(`GET`)
#      services:
#        - name: whoami
#          port: 80

---
apiVersion: v1
kind: Service
metadata:
  name: whoami
spec:
  ports:
    - name: http
      port: 80

# The two backends that the demo starts. Delete one of the slices and all requests go to the other.
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: whoami-1
  labels:
    kubernetes.io/service-name: whoami
addressType: IPv4
ports:
  - name: http
    port: 9101
endpoints:
  - addresses:
      - 127.0.0.1
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: whoami-2
  labels:
    kubernetes.io/service-name: whoami
addressType: IPv4
ports:
  - name: http
    port: 9102
endpoints:
  - addresses:
      - 127.0.0.2
"""
